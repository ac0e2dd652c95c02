import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SFNClient } from "@aws-sdk/client-sfn";
import { requireRole } from "#shared/domain/agent.ts";
import { newId } from "#shared/domain/id.ts";
import type { Environment } from "#shared/environment.ts";
import { NotFoundError } from "#shared/errors.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { timestamp } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Clock, Random, Workflow } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/collections",
  build: (
    { TABLE_NAME, COLLECT_GARBAGE_WORKFLOW_ARN }: Environment<"api/collections">,
    { clock, random }: Runtime,
  ): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    workflow: new SfnWorkflow(new SFNClient(), COLLECT_GARBAGE_WORKFLOW_ARN),
    clock,
    random,
  }),
  operations: { startCollection, getCollection },
});

interface Deps {
  store: Store;
  workflow: Workflow;
  clock: Clock;
  random: Random;
}

/** Two at once are harmless: both find the same garbage. */
export async function startCollection(
  { body, actor }: Call<"startCollection">,
  { store, workflow, clock, random }: Deps,
): Promise<Answer<"startCollection">> {
  const { sourceId, dryRun } = body;
  if (sourceId !== undefined) requireRole(await store.agents.find(sourceId), "source", sourceId);
  const id = newId("col", clock.now(), random(10));
  await store.collections.begin(id, timestamp(clock));
  await workflow.start(id, { dryRun, ...(sourceId === undefined ? {} : { sourceId }) });
  await store.audit.add({
    at: timestamp(clock),
    actor: actorName(actor),
    action: "garbage-collection-started",
    subject: id,
    outcome: "done",
    details: body,
  });
  return { id, running: true, results: [] };
}

export async function getCollection(
  { path }: Call<"getCollection">,
  { store, workflow }: Deps,
): Promise<Answer<"getCollection">> {
  // In this order: what ends in between has its results.
  const running = await workflow.isRunning(path.id);
  const results = await store.collections.find(path.id);
  if (!running && !results) throw new NotFoundError("collection", path.id);
  return { id: path.id, running, results: results ?? [] };
}
