import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import type { Environment } from "#shared/environment.ts";
import { NotFoundError } from "#shared/errors.ts";
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
  const source = await deps.store.agents.find(path.id);
  if (source?.role !== "source") throw new NotFoundError("source", path.id);
  const { planId, retention, timeZone, dryRun } = body;
  const order = {
    sourceId: source.id,
    plan: { id: planId, retention, timeZone },
    pinned: new Set<string>(),
    actor: actorName(actor),
  };
  const points = await (dryRun ? judgeByRetention(order, deps) : pruneByRetention(order, deps));
  return { dryRun, points };
}
