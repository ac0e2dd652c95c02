import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { Environment } from "#shared/environment.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/audit",
  build: ({ TABLE_NAME }: Environment<"api/audit">, { random }: Runtime): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
  }),
  operations: { listAudit },
});

interface Deps {
  store: Store;
}

export function listAudit({ query }: Call<"listAudit">, { store }: Deps): Promise<Answer<"listAudit">> {
  return store.audit.page(query);
}
