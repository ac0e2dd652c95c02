import { expect, test } from "vitest";
import { InvalidInputError } from "#shared/errors.ts";
import { createTestTable } from "../testing/test-table.ts";
import { encodeCursor } from "./cursor.ts";
import type { Table, TablePage } from "./table.ts";

async function filled(count: number): Promise<Table> {
  const { table } = await createTestTable();
  for (let n = 0; n < count; n++) {
    const id = String(n).padStart(3, "0");
    const kind = n % 3 === 0 ? "fizz" : "plain";
    await table.putNew({ pk: `ITEM#${id}`, sk: "ITEM", gsi1pk: "ITEMS", gsi1sk: id, ...{ id, kind } });
  }
  return table;
}

async function ids(
  pages: (cursor?: string) => Promise<TablePage<Record<string, unknown>>>,
): Promise<unknown[][]> {
  const seen: unknown[][] = [];
  let cursor: string | undefined;
  do {
    const page = await pages(cursor);
    seen.push(page.items.map((item) => item.id));
    cursor = page.cursor ?? undefined;
  } while (cursor);
  return seen;
}

test("pages show every item once, newest first, and the last page says so", async () => {
  const table = await filled(5);
  const seen = await ids((cursor) => table.page({ partition: "ITEMS", index: true, limit: 2, cursor }));
  expect(seen).toEqual([["004", "003"], ["002", "001"], ["000"]]);
});

test("a full last page has no cursor to an empty one", async () => {
  const table = await filled(4);
  const seen = await ids((cursor) => table.page({ partition: "ITEMS", index: true, limit: 2, cursor }));
  expect(seen).toHaveLength(2);
});

test("filtered pages are full until the list ends", async () => {
  const table = await filled(10);
  const only = { attribute: "kind", value: "fizz" };
  const seen = await ids((cursor) => table.page({ partition: "ITEMS", index: true, limit: 3, cursor, only }));
  expect(seen).toEqual([["009", "006", "003"], ["000"]]);
});

test.each([
  ["not base64 of JSON", "%%%"],
  ["of another partition", encodeCursor({ pk: "ITEM#001", sk: "ITEM", gsi1pk: "OTHERS", gsi1sk: "001" })],
  ["of the table, not its index", encodeCursor({ pk: "ITEMS", sk: "001" })],
  ["without a position", bare({ pk: "ITEM#001", sk: "ITEM", gsi1pk: "ITEMS" })],
  ["with more than keys", bare({ pk: "a", sk: "b", gsi1pk: "ITEMS", gsi1sk: "c", x: 1 })],
])("a cursor %s is refused, naming the field", async (_, cursor) => {
  const table = await filled(1);
  const page = table.page({ partition: "ITEMS", index: true, limit: 2, cursor });
  await expect(page).rejects.toThrow(InvalidInputError);
});

test.each([
  ["with half a position of the index", bare({ pk: "ITEM#001", sk: "ITEM", gsi1pk: "ITEMS" })],
  ["with a position of the index", bare({ pk: "ITEM#001", sk: "ITEM", gsi1pk: "ITEMS", gsi1sk: "001" })],
])("a cursor %s is refused by a list of the table", async (_, cursor) => {
  const table = await filled(1);
  const page = table.page({ partition: "ITEM#001", limit: 2, cursor });
  await expect(page).rejects.toThrow(InvalidInputError);
});

function bare(position: object): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}
