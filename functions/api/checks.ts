import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SFNClient } from "@aws-sdk/client-sfn";
import { requireRole } from "#shared/domain/agent.ts";
import { newId } from "#shared/domain/id.ts";
import { checkOf } from "#shared/domain/repository-check.ts";
import type { Environment } from "#shared/environment.ts";
import { WrongStateError } from "#shared/errors.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { beginCheck } from "../check/begin-check.ts";
import { timestamp } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Clock, Random, Workflow } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/checks",
  build: (
    { TABLE_NAME, CHECK_REPOSITORIES_WORKFLOW_ARN }: Environment<"api/checks">,
    { clock, random }: Runtime,
  ): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    workflow: new SfnWorkflow(new SFNClient(), CHECK_REPOSITORIES_WORKFLOW_ARN),
    clock,
    random,
  }),
  operations: { startCheck, getCheck },
});

interface Deps {
  store: Store;
  workflow: Pick<Workflow, "start">;
  clock: Clock;
  random: Random;
}

/** The check is stored first, then its workflow is started under its id. Two at once are harmless. */
export async function startCheck(
  { path, body: { whole }, actor }: Call<"startCheck">,
  { store, workflow, clock, random }: Deps,
): Promise<Answer<"startCheck">> {
  const sourceId = path.id;
  requireRole(await store.agents.find(sourceId), "source", sourceId);
  const requestedBy = actorName(actor);
  const given = { id: newId("chk", clock.now(), random(10)), requestedBy, createdAt: timestamp(clock) };
  const check = await beginCheck({ ...given, sourceId, whole }, store);
  if (check === "no-points") throw new WrongStateError(`source ${sourceId} has no recovery point to check`);
  if (check === "no-target") {
    const hint = "Connect a target host, or read everything on this machine: `causeway repo check SOURCE`.";
    throw new WrongStateError("no target host is connected", hint);
  }
  await workflow.start(check.id, { sourceId, whole: check.whole });
  await store.audit.add({
    at: check.createdAt,
    actor: requestedBy,
    action: "repository-check-started",
    subject: check.id,
    outcome: "done",
    details: { sourceId, targetId: check.targetId, whole: check.whole },
  });
  return checkOf(check);
}

export async function getCheck({ path }: Call<"getCheck">, { store }: Deps): Promise<Answer<"getCheck">> {
  return checkOf(await store.checks.get(path.id));
}
