import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import * as z from "zod";
import { ResourceId } from "#shared/protocol/ids.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { openStore, type Store } from "../store/store.ts";

export const Input = z.object({
  /** Only this one. */
  sourceId: ResourceId.optional(),
});

export const handler = taskHandler({
  name: "tasks/list-repositories",
  input: Input,
  build: ({ TABLE_NAME }, { random }): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
  }),
  run,
});

interface Deps {
  store: Store;
}

/** The sources whose garbage is collected: also those that were revoked, since their data stays. */
export async function run(
  { sourceId }: z.output<typeof Input>,
  { store }: Deps,
): Promise<{ sourceIds: string[] }> {
  if (sourceId !== undefined) return { sourceIds: [(await store.agents.get(sourceId)).id] };
  const sourceIds: string[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await store.agents.page("source", { limit: 200, ...(cursor ? { cursor } : {}) });
    sourceIds.push(...page.items.map(({ id }) => id));
    cursor = page.cursor;
  } while (cursor);
  return { sourceIds };
}
