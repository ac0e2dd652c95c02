import { describe, expect, test } from "vitest";
import { InvalidInputError } from "#shared/errors.ts";
import { MemoryTable } from "../testing/memory-table.ts";
import { createTestTable } from "../testing/test-table.ts";
import { encodeCursor } from "./cursor.ts";
import type { Table, TablePage } from "./table.ts";

/** With this number of items, of which each third one is another kind. */
async function filledWith(count: number, table: Table): Promise<Table> {
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

const key = { pk: "ITEM#1", sk: "ITEM" };

describe.each([
  ["in DynamoDB", createTestTable],
  ["in memory", async () => new MemoryTable()],
] as const)("%s", (_where, open) => {
  const filled = async (count: number) => filledWith(count, await open());

  test("an item is written if none has its key, and replaced if it has this version", async () => {
    const table = await open();
    expect(await table.putNew({ ...key, version: 1 })).toBe(true);
    expect(await table.putNew({ ...key, version: 9 })).toBe(false);
    expect(await table.replace({ ...key, version: 2, absent: undefined }, 1)).toBe(true);
    expect(await table.replace({ ...key, version: 3 }, 1)).toBe(false);
    expect(await table.replace({ ...key, sk: "OTHER", version: 2 }, 1)).toBe(false);
    expect(await table.get(key)).toEqual({ ...key, version: 2 });
    expect(await table.get({ ...key, sk: "OTHER" })).toBeUndefined();
  });

  test("changing an item that was written or read does not change the table", async () => {
    const table = await open();
    const item = { ...key, list: [1] };
    await table.putNew(item);
    item.list.push(2);
    const read = await table.get(key);
    Reflect.set(read ?? {}, "list", [3]);
    expect(await table.get(key)).toEqual({ ...key, list: [1] });
  });

  test("an attribute is set once, and only of an item that exists", async () => {
    const table = await open();
    expect(await table.setOnce(key, "by", "ada")).toBe(false);
    await table.putNew(key);
    expect(await table.setOnce(key, "by", "ada")).toBe(true);
    expect(await table.setOnce(key, "by", "bob")).toBe(false);
    expect(await table.get(key)).toEqual({ ...key, by: "ada" });
  });

  test("the latest value stays, in whichever order they come", async () => {
    const table = await open();
    await table.setLatest(key, "seen", { at: "1" });
    expect(await table.get(key)).toBeUndefined();
    await table.putNew(key);
    for (const at of ["2", "3", "1", "3"]) await table.setLatest(key, "seen", { at, given: at });
    expect(await table.get(key)).toEqual({ ...key, seen: { at: "3", given: "3" } });
  });

  test("a value that is to be kept stays, however late another one is", async () => {
    const table = await open();
    await table.putNew(key);
    const set = (at: string, said: string, ...values: string[]) =>
      table.setLatest(key, "seen", { at, said }, { field: "said", values });
    await set("1", "maybe", "yes", "no");
    await set("2", "no", "yes");
    await set("3", "maybe", "yes", "no");
    expect(await table.get(key)).toEqual({ ...key, seen: { at: "2", said: "no" } });
    await set("4", "yes");
    await set("5", "no", "yes");
    expect(await table.get(key)).toEqual({ ...key, seen: { at: "4", said: "yes" } });
  });

  test("each call counts once, the first one's attributes stay, and those of the last one", async () => {
    const table = await open();
    for (const at of ["1", "2"]) await table.count(key, { first: { since: at }, latest: { last: at } });
    expect(await table.get(key)).toEqual({ ...key, since: "1", last: "2", count: 2 });
  });

  test("an item leaves its place in the index when it gets another one, or none", async () => {
    const table = await open();
    for (const [n, gsi1sk] of ["b", "c", "a"].entries())
      await table.putNew({ pk: "P", sk: String(n), gsi1pk: "OLD", gsi1sk, version: 1 });
    const places = async (gsi1pk: string) => (await table.allInIndex(gsi1pk)).map(({ gsi1sk }) => gsi1sk);
    expect(await places("OLD")).toEqual(["a", "b", "c"]);
    await table.replace({ pk: "P", sk: "0", gsi1pk: "NEW", gsi1sk: "d", version: 2 }, 1);
    await table.replace({ pk: "P", sk: "1", version: 2 }, 1);
    expect([await places("OLD"), await places("NEW")]).toEqual([["a"], ["d"]]);
    expect((await table.all("P")).map(({ sk }) => sk)).toEqual(["0", "1", "2"]);
  });

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
    const seen = await ids((cursor) =>
      table.page({ partition: "ITEMS", index: true, limit: 3, cursor, only }),
    );
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
});

function bare(position: object): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}
