import { createHash } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import * as z from "zod";
import { newId } from "#shared/domain/id.ts";
import type { CheckRecord } from "#shared/domain/repository-check.ts";
import type { Log } from "#shared/log.ts";
import { Timestamp } from "#shared/protocol/common.ts";
import { CheckId, ResourceId } from "#shared/protocol/ids.ts";
import { beginCheck } from "../check/begin-check.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { openStore, type Store } from "../store/store.ts";

export const Input = z.object({
  /** The execution that checks, and when it began. */
  executionName: z.string().min(1).max(128),
  startedAt: Timestamp,
  sourceId: ResourceId,
  whole: z.boolean(),
});
type Input = z.output<typeof Input>;

export const handler = taskHandler({
  name: "tasks/begin-check",
  input: Input,
  build: ({ TABLE_NAME }, { random, log }): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    log,
  }),
  run,
});

interface Deps {
  store: Store;
  log: Log;
}

/** What the workflow has to know of a check. */
type Begun = Pick<CheckRecord, "sourceId" | "targetId" | "pointIds" | "whole"> & { checkId: string };

/**
 * Begins the check of one source's recovery points, unless there is nothing to check or no target host is
 * connected, which the audit says. Its id comes from the execution, or is the execution's name if an operator
 * asked for the check, so a repetition finds the same check.
 */
export async function run(input: Input, { store, log }: Deps): Promise<{ check?: Begun }> {
  const { sourceId, whole, startedAt } = input;
  const given = { id: idOf(input), requestedBy: "causeway", createdAt: startedAt };
  const check = await beginCheck({ ...given, sourceId, whole }, store);
  if (check === "no-points") return {};
  if (check !== "no-target") return { check: begun(check) };
  const reason = "no target host is connected";
  log.warn("repository not checked", { sourceId, reason });
  await store.audit.addOnce({
    at: startedAt,
    actor: "causeway",
    action: "repository-not-checked",
    subject: sourceId,
    outcome: "refused",
    details: { reason },
  });
  return {};
}

function idOf({ executionName, startedAt, sourceId }: Input): string {
  if (CheckId.safeParse(executionName).success) return executionName;
  const digest = createHash("sha256").update(`${executionName} ${sourceId}`).digest();
  return newId("chk", Date.parse(startedAt), digest.subarray(0, 10));
}

function begun({ id: checkId, sourceId, targetId, pointIds, whole }: CheckRecord): Begun {
  return { checkId, sourceId, targetId, pointIds, whole };
}
