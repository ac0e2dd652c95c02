import { expect, test } from "vitest";
import * as z from "zod";
import { ConcurrentChangeError } from "#shared/errors.ts";
import { createTestTable } from "../testing/test-table.ts";
import { Aggregates } from "./aggregates.ts";

const Counter = z.object({ id: z.string(), count: z.int(), version: z.int() });
const keyOf = (id: string) => ({ pk: `COUNTER#${id}`, sk: "COUNTER" });

async function counters() {
  const table = await createTestTable();
  return new Aggregates(table, { what: "counter", schema: Counter, keys: ({ id }) => keyOf(id) });
}

test("if two writers read the same version, the second write fails", async () => {
  const store = await counters();
  const first = await store.save({ id: "a", count: 1, version: 0 });
  await store.save({ ...first, count: 2 });
  await expect(store.save({ ...first, count: 3 })).rejects.toThrow(ConcurrentChangeError);
  expect(await store.find(keyOf("a"))).toEqual({ id: "a", count: 2, version: 2 });
});

test("a new aggregate never replaces one that exists", async () => {
  const store = await counters();
  await store.save({ id: "a", count: 1, version: 0 });
  await expect(store.save({ id: "a", count: 9, version: 0 })).rejects.toThrow(ConcurrentChangeError);
});

test("concurrent changes are all made", async () => {
  const store = await counters();
  await store.save({ id: "a", count: 0, version: 0 });
  const add = () =>
    store.modify(keyOf("a"), (counter) => {
      if (!counter) throw new Error("the counter exists");
      return { ...counter, count: counter.count + 1 };
    });
  await Promise.all([add(), add(), add(), add()]);
  expect((await store.find(keyOf("a")))?.count).toBe(4);
});

test("a change that leaves the item as it is writes nothing", async () => {
  const store = await counters();
  await store.save({ id: "a", count: 1, version: 0 });
  const same = await store.modify(keyOf("a"), (counter) => counter ?? { id: "a", count: 2, version: 0 });
  expect(same).toEqual({ id: "a", count: 1, version: 1 });
});
