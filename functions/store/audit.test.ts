import { expect, test } from "vitest";
import { createTestTable } from "../testing/test-table.ts";
import { AuditStore, type NewAuditEntry } from "./audit.ts";

const DAY_S = 24 * 3600;
const AT_MS = Date.UTC(2030, 0, 1, 10, 20);

const refusal = (change: Partial<NewAuditEntry> = {}, minute = 0): NewAuditEntry => ({
  at: new Date(AT_MS + minute * 60_000).toISOString(),
  actor: "anyone",
  action: "enrolment-refused",
  subject: "unknown-token",
  outcome: "refused",
  ...change,
});

async function start() {
  const table = await createTestTable();
  return { table, audit: new AuditStore(table, (length) => new Uint8Array(length)) };
}

test("repetitions within an hour are one entry with the first details, the count and the last time", async () => {
  const { table, audit } = await start();
  await audit.addHourly(refusal({ details: { name: "first" } }), "no such token");
  await Promise.all(
    Array.from({ length: 20 }, (_, at) =>
      audit.addHourly(refusal({ subject: `guess-${at}`, details: { name: "later" } }, 5), "no such token"),
    ),
  );
  const [entry, ...others] = (await audit.page({ limit: 10 })).items;
  expect(others).toEqual([]);
  expect(entry).toMatchObject({
    at: "2030-01-01T10:20:00.000Z",
    lastAt: "2030-01-01T10:25:00.000Z",
    subject: "unknown-token",
    details: { name: "first" },
    count: 21,
  });
  const [item] = await table.all("AUDIT");
  expect(item?.expiresAt).toBe(Date.UTC(2030, 0, 1, 10) / 1000 + 90 * DAY_S);
});

test("another actor, action, kind or hour is another entry", async () => {
  const { audit } = await start();
  await audit.addHourly(refusal(), "no such token");
  await audit.addHourly(refusal({ actor: "agt_1" }), "no such token");
  await audit.addHourly(refusal({ action: "event-refused" }), "no such token");
  await audit.addHourly(refusal(), "expired");
  await audit.addHourly(refusal({}, 60), "no such token");
  expect((await audit.page({ limit: 10 })).items.map(({ count }) => count)).toEqual([1, 1, 1, 1, 1]);
});

test.each<[string, Record<string, unknown>]>([
  ["a long text", { text: "x".repeat(500_000) }],
  ["a long list", { list: Array.from({ length: 50_000 }, (_, at) => at) }],
  [
    "many fields with long names",
    Object.fromEntries([..."abcdefghijklmnop"].map((name) => [name.repeat(9999), name])),
  ],
  ["deep nesting", { deep: JSON.parse(`${"[".repeat(60)}${"]".repeat(60)}`) }],
  [
    "much of everything",
    { a: Array(20).fill(Array(20).fill("x".repeat(900))), b: Array(20).fill("y".repeat(900)) },
  ],
])("%s in the details, and a subject over a key's limit, are kept within bounds", async (_, details) => {
  const { table, audit } = await start();
  await audit.addHourly(refusal({ subject: "s".repeat(5000), details }), "malformed");
  const [item] = await table.all("AUDIT");
  expect(JSON.stringify(item).length).toBeLessThan(6000);
});

test("entries that anyone can cause expire", async () => {
  const { table, audit } = await start();
  await audit.addExpiring(refusal({ outcome: "done" }));
  expect((await table.all("AUDIT"))[0]?.expiresAt).toBe(AT_MS / 1000 + 90 * DAY_S);
});
