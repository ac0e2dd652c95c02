import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { requireRole } from "#shared/domain/agent.ts";
import type { Environment } from "#shared/environment.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/recovery-points",
  build: ({ TABLE_NAME }: Environment<"api/recovery-points">, { random }: Runtime): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
  }),
  operations: { listRecoveryPoints, getRecoveryPoint },
});

interface Deps {
  store: Store;
}

export async function listRecoveryPoints(
  { path, query }: Call<"listRecoveryPoints">,
  { store }: Deps,
): Promise<Answer<"listRecoveryPoints">> {
  requireRole(await store.agents.find(path.id), "source", path.id);
  return store.points.page(path.id, query);
}

export function getRecoveryPoint(
  { path }: Call<"getRecoveryPoint">,
  { store }: Deps,
): Promise<Answer<"getRecoveryPoint">> {
  return store.points.get(path.id);
}
