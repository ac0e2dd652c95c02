import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Conversion } from "#shared/protocol/resources.ts";
import { storedBytesOf } from "./testing/disk-content.ts";
import { Randomness } from "./testing/randomness.ts";
import { Site } from "./testing/site.ts";
import { until } from "./testing/until.ts";

const MiB = 1024 * 1024;
const DISK_BYTES = 256 * MiB;
/** Slow enough that a moment within the capture is one, fast enough to be over soon. */
const LIMIT = { bandwidthLimitBytesPerSecond: 40 * MiB };
/**
 * What may be captured twice after one kill: the packs that were being filled or sent, and those whose part of the disk was not complete.
 */
const LOST_BYTES_PER_KILL = 80 * MiB;

const random = new Randomness(process.env.CAUSEWAY_TEST_SEED ?? "survival");
let site: Site;

beforeAll(async () => {
  const names = ["undisturbed", "source", "target", "cloud", "all"];
  site = await Site.start({ disks: Object.fromEntries(names.map((name) => [name, DISK_BYTES])) });
});
afterAll(() => site?.[Symbol.asyncDispose]());

/** Waits for a random moment of the capture between two shares of it. */
async function inCapture(before: number, from: number, to: number): Promise<void> {
  const share = random.between(from, to);
  await until(
    `${share} of the capture`,
    () => site.packBytes() - before >= share * storedBytesOf(DISK_BYTES) || undefined,
  );
}

async function inMaterialise(id: string, disk: string): Promise<void> {
  const share = random.between(0.1, 0.9);
  await until(
    `${share} of the image`,
    () => site.writtenBytes(id, disk) >= share * storedBytesOf(DISK_BYTES) || undefined,
  );
}

async function inVerify(id: string, times: number): Promise<void> {
  await site.began(id, "verify", times);
  await sleep(random.between(0, 300));
}

async function powerCut(...names: string[]): Promise<void> {
  await site.kill(...names);
  await site.restart(...names);
}

/** Complete, every byte equal, and no more in the bucket than what kills explain. */
async function expectWhole(id: string, disk: string, before: number, kills: number): Promise<Conversion> {
  const conversion = await site.ended(id);
  expect(conversion).toMatchObject({ state: "completed" });
  expect(await site.difference(id, disk)).toBeUndefined();
  expect(site.count("succeeded", id, "verify")).toBe(1);
  const stored = site.packBytes() - before;
  expect(stored).toBeLessThan(storedBytesOf(DISK_BYTES) * 1.1 + kills * LOST_BYTES_PER_KILL);
  return conversion;
}

test("an undisturbed conversion stores each used byte once", async () => {
  const id = await site.convert("undisturbed");
  await expectWhole(id, "undisturbed", 0, 0);
});

test("kill -9 of the source agent while it captures, three times, and between its steps: it goes on where it was", async () => {
  const before = site.packBytes();
  const id = await site.convert("source", LIMIT);
  for (const [from, to] of [
    [0.2, 0.35],
    [0.45, 0.6],
    [0.7, 0.85],
  ] as const) {
    await inCapture(before, from, to);
    await powerCut("source");
  }
  await until("the capture to end", () => site.count("succeeded", id, "capture-disk") > 0 || undefined);
  await powerCut("source");
  const { result } = await expectWhole(id, "source", before, 3);
  // The last attempt had a part of the disk left to store, not the whole.
  expect(result?.bytesStored).toBeLessThan(storedBytesOf(DISK_BYTES) * 0.85);
});

test("kill -9 of the target agent while it writes, while it verifies and in between: the copy is right", async () => {
  const before = site.packBytes();
  const id = await site.convert("target");
  for (let kill = 0; kill < 2; kill++) {
    await inMaterialise(id, "target");
    await powerCut("target");
  }
  await until("the image", () => site.count("succeeded", id, "materialise") > 0 || undefined);
  await powerCut("target");
  await inVerify(id, 1);
  await powerCut("target");
  await expectWhole(id, "target", before, 0);
});

test("kill -9 of the control plane in every step: the conversion completes after it is back", async () => {
  const before = site.packBytes();
  const id = await site.convert("cloud", LIMIT);
  await powerCut("cloud");
  await inCapture(before, 0.3, 0.7);
  await powerCut("cloud");
  await until("the capture to end", () => site.count("succeeded", id, "capture-disk") > 0 || undefined);
  await powerCut("cloud");
  await inMaterialise(id, "cloud");
  await powerCut("cloud");
  await inVerify(id, 1);
  await powerCut("cloud");
  await expectWhole(id, "cloud", before, 0);
});

test("kill -9 of everything at once in every step: the conversion completes after all are back", async () => {
  const all = ["cloud", "source", "target"];
  const before = site.packBytes();
  const id = await site.convert("all", LIMIT);
  await inCapture(before, 0.3, 0.7);
  await powerCut(...all);
  await until("the capture to end", () => site.count("succeeded", id, "capture-disk") > 0 || undefined);
  await powerCut(...all);
  await inMaterialise(id, "all");
  await powerCut(...all);
  await inVerify(id, 1);
  await powerCut(...all);
  await expectWhole(id, "all", before, 1);
});
