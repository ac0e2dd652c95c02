import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { Runtime } from "../middleware/runtime.ts";
import type { StoreDeps } from "./deps.ts";
import { openStore } from "./store.ts";

/** For each function that only reads and changes records. */
export function buildStore({ TABLE_NAME }: { TABLE_NAME: string }, { clock, random }: Runtime): StoreDeps {
  return { store: openStore(new DynamoDBClient(), TABLE_NAME, random), clock };
}
