import { createHash } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
import type { AgentRecord } from "#shared/domain/agent.ts";
import { newId } from "#shared/domain/id.ts";
import {
  type CheckRecord,
  chooseChecker,
  hasDamage,
  pointsToCheck,
} from "#shared/domain/repository-check.ts";
import type { Log } from "#shared/log.ts";
import { Timestamp } from "#shared/protocol/common.ts";
import { ResourceId } from "#shared/protocol/ids.ts";
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
 * Begins the check of one source's recovery points. Its id comes from the execution, so a repetition finds
 * the same check. Returns nothing to check if the source has no points, or if no target host is connected;
 * the latter is in the audit. A repository in which damage was found is checked whole until it is sound.
 */
export async function run(input: Input, { store, log }: Deps): Promise<{ check?: Begun }> {
  const { sourceId, startedAt } = input;
  const id = idOf(input);
  const known = await store.checks.find(id);
  if (known) return { check: begun(known) };
  const points = await store.points.ofSource(sourceId);
  const alarm = await store.alarms.find({ kind: "repository-damaged", subject: sourceId });
  const whole = input.whole || alarm?.state === "open" || hasDamage(points);
  const pointIds = pointsToCheck(points, whole);
  if (pointIds.length === 0) return {};
  const target = await checker(store);
  if (!target) {
    log.warn("repository not checked", { sourceId, reason: "no target host is connected" });
    await store.audit.addOnce({
      at: startedAt,
      actor: "causeway",
      action: "repository-not-checked",
      subject: sourceId,
      outcome: "refused",
      details: { reason: "no target host is connected" },
    });
    return {};
  }
  const check = await store.checks.add({
    ...{ id, sourceId, targetId: target.id, pointIds, whole, state: "running" },
    ...{ requestedBy: "causeway", createdAt: startedAt, version: 0 },
  });
  return { check: begun(check) };
}

function idOf({ executionName, startedAt, sourceId }: Input): string {
  const digest = createHash("sha256").update(`${executionName} ${sourceId}`).digest();
  return newId("chk", Date.parse(startedAt), digest.subarray(0, 10));
}

function begun({ id: checkId, sourceId, targetId, pointIds, whole }: CheckRecord): Begun {
  return { checkId, sourceId, targetId, pointIds, whole };
}

async function checker({ agents, plans }: Store): Promise<AgentRecord | undefined> {
  const { items: targets } = await agents.page("target", { limit: 200 });
  const { items: protecting } = await plans.page({ limit: 200 });
  const keepsStandby = new Set(protecting.flatMap(({ standbyTargetId }) => standbyTargetId ?? []));
  return chooseChecker(targets, keepsStandby);
}
