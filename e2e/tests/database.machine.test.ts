/** A database server, with a client outside of it, through a remote cold clone. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openColdSite, startColdClone } from "../machines/cold-site.ts";
import { databaseServer, LEDGER_END, rowsOnConsole } from "../machines/disk/database-server.ts";
import { debianMachine, ended, type MachineSite, untilConversion } from "../machines/machine-site.ts";
import { DatabaseLoad, storedRows } from "../site/database-load.ts";
import { freePort } from "../site/free-port.ts";

const POSTGRESQL = 5432;
const LIMIT_MS = 300_000;
const log = (): void => {};
let dir: string;
let site: MachineSite;
let load: DatabaseLoad;
let port: number;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-database-"));
  const original = await debianMachine({ firmware: "bios", software: databaseServer, log });
  port = await freePort();
  const forward = { host: port, guest: POSTGRESQL };
  site = await openColdSite({ dir, firmware: "bios", original, forward, log });
  load = new DatabaseLoad(port);
  await untilAcknowledged(20);
});

afterAll(async () => {
  await load?.stop();
  await site?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

test("the clone has every row that was acknowledged before the restart and none that was sent after it, and the source continues", async () => {
  const { id } = await startColdClone(site, "--boot-check", "--boot-expect", LEDGER_END);
  await untilConversion(site, id, ({ steps }) =>
    steps.some(({ name, state }) => name === "capture" && state === "running"),
  );
  const inClone = load.acknowledged;
  const sentBefore = load.rows.length;
  const conversion = await untilConversion(site, id, ended);
  expect(conversion).toMatchObject({ state: "completed", result: { bootCheck: { verdict: "booted" } } });
  const image = conversion.result?.disks[0]?.path ?? "";
  const rows = rowsOnConsole(readFileSync(join(image, "../boot-check.log"), "utf8"));
  const before = load.rows.slice(0, sentBefore).filter(({ acknowledgedAt }) => acknowledgedAt !== undefined);
  expect(before.slice(0, inClone).filter(({ id: row }) => !rows.has(row))).toEqual([]);
  expect(Math.max(...rows)).toBeLessThanOrEqual(sentBefore);
  await untilAcknowledged(inClone + 20);
  await load.stop();
  const stored = new Set(await storedRows(port));
  expect(load.rows.filter(({ id: row, acknowledgedAt }) => acknowledgedAt && !stored.has(row))).toEqual([]);
});

async function untilAcknowledged(rows: number): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (load.acknowledged < rows) {
    if (performance.now() > deadline) throw new Error(`the server acknowledged ${load.acknowledged} rows`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
