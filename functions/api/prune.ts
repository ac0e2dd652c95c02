import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { type AgentRecord, requireRole } from "#shared/domain/agent.ts";
import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import type { Environment } from "#shared/environment.ts";
import { NotFoundError, WrongStateError } from "#shared/errors.ts";
import { S3PruneMarks } from "../aws/s3-prune-marks.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Clock, PruneMarks } from "../ports.ts";
import { judgeByRetention, pruneByRetention } from "../protection/prune.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/prune",
  build: ({ TABLE_NAME, BUCKET_NAME }: Environment<"api/prune">, { clock, random }: Runtime): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    marks: new S3PruneMarks(new S3Client(), BUCKET_NAME),
    clock,
  }),
  operations: { pruneSource },
});

interface Deps {
  store: Store;
  marks: PruneMarks;
  clock: Clock;
}

export async function pruneSource(
  { path, body, actor }: Call<"pruneSource">,
  deps: Deps,
): Promise<Answer<"pruneSource">> {
  const source = requireRole(await deps.store.agents.find(path.id), "source", path.id);
  const { dryRun } = body;
  const plan = await planOf(source, body.planId, deps.store);
  const order = {
    sourceId: source.id,
    plan: { ...plan, retention: body.retention ?? plan.retention },
    pinned: new Set<string>(),
    actor: actorName(actor),
  };
  const points = await (dryRun ? judgeByRetention(order, deps) : pruneByRetention(order, deps));
  return { dryRun, points };
}

/** The plan may be deleted: its points stay until they are pruned. */
async function planOf(
  source: AgentRecord,
  planId: string | undefined,
  store: Pick<Store, "plans">,
): Promise<PlanRecord> {
  const id = planId ?? source.planId;
  if (id === undefined) {
    const hint = "Name the plan that made the points: `causeway prune SOURCE --plan PLAN`.";
    throw new WrongStateError(`no plan protects source ${source.id}`, hint);
  }
  const plan = await store.plans.get(id);
  if (plan.sourceId !== source.id) throw new NotFoundError(`plan of source ${source.id}`, id);
  return plan;
}
