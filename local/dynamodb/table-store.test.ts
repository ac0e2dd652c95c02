import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import database from "dynalite/db/index.js";
import { expect, test } from "vitest";
import { ManualClock } from "../core/clock.ts";
import type { TableDefinition } from "./table.ts";
import { TableStore } from "./table-store.ts";

const definition: TableDefinition = {
  TableName: "things",
  BillingMode: "PAY_PER_REQUEST",
  AttributeDefinitions: [
    { AttributeName: "pk", AttributeType: "S" },
    { AttributeName: "kind", AttributeType: "S" },
  ],
  KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
  GlobalSecondaryIndexes: [
    {
      IndexName: "by-kind",
      KeySchema: [{ AttributeName: "kind", KeyType: "HASH" }],
      Projection: { ProjectionType: "ALL" },
    },
  ],
};

async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "tables-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const countByKind = async (tables: TableStore): Promise<unknown> =>
  (
    await tables.run("Query", {
      TableName: "things",
      IndexName: "by-kind",
      KeyConditionExpression: "kind = :kind",
      ExpressionAttributeValues: { ":kind": { S: "server" } },
      Select: "COUNT",
    })
  ).Count;

test("acknowledged writes survive kill -9, and the index agrees with the items", async () => {
  await using directory = await temporaryDirectory();
  const writer = spawn(
    process.execPath,
    ["--input-type=module", "--eval", WRITER, directory.path, JSON.stringify(definition)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const lines = createInterface({ input: writer.stdout });
  let acknowledged = -1;
  for await (const line of lines) {
    acknowledged = Number(line);
    if (acknowledged >= 50) break;
  }
  writer.kill("SIGKILL");
  await once(writer, "exit");

  const tables = await TableStore.open({ directory: directory.path, clock: new ManualClock() });
  const { Count } = await tables.run("Scan", { TableName: "things", Select: "COUNT" });
  expect(Count).toBeGreaterThan(acknowledged);
  expect(await countByKind(tables)).toBe(Count);
  await tables.close();
});

/** Writes items one after the other and prints each number once it is acknowledged. */
const WRITER = `
import { TableStore } from ${JSON.stringify(new URL("./table-store.ts", import.meta.url).href)};
const [directory, definition] = process.argv.slice(-2);
const tables = await TableStore.open({ directory, clock: { now: () => 0 } });
await tables.ensure(JSON.parse(definition));
for (let n = 0; ; n++) {
  await tables.run("PutItem", { TableName: "things", Item: { pk: { S: "k" + n }, kind: { S: "server" } } });
  console.log(n);
}`;

test("index entries that a crash left wrong are repaired at the next start", async () => {
  await using directory = await temporaryDirectory();
  const clock = new ManualClock();
  const crashed = await TableStore.open({ directory: directory.path, clock });
  await crashed.ensure(definition);
  await crashed.run("PutItem", { TableName: "things", Item: { pk: { S: "a" }, kind: { S: "server" } } });
  await crashed.close();

  // The state after a crash between the write of the index and the write of the item.
  const store = database.create({ path: join(directory.path, "level") });
  await store.db.open();
  await store.db.put("index-global~things~by-kind~ghost", { pk: { S: "ghost" }, kind: { S: "server" } });
  await store.db.put("index-global~things~by-kind~ghost2", { pk: { S: "ghost2" }, kind: { S: "server" } });
  await store.db.close();
  await writeFile(join(directory.path, "open"), "");

  const repaired = await TableStore.open({ directory: directory.path, clock });
  expect(await countByKind(repaired)).toBe(1);
  await repaired.close();
});

test("the directory belongs to one process at a time", async () => {
  await using directory = await temporaryDirectory();
  const clock = new ManualClock();
  const tables = await TableStore.open({ directory: directory.path, clock });
  await expect(TableStore.open({ directory: directory.path, clock })).rejects.toThrow();
  await tables.close();
});
