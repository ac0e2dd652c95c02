import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { storedBytesOf } from "../testing/disk-content.ts";
import { Randomness } from "../testing/randomness.ts";
import { Site } from "../testing/site.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;
/** Each conversion has its own disk, as large as its power cuts need. */
const DISKS = { undisturbed: 128, source: 384, target: 192, cloud: 192, all: 256 };
type Disk = keyof typeof DISKS;
const contentOf = (disk: Disk): number => storedBytesOf(DISKS[disk] * MiB);
/** Slow enough to hit a moment within the capture, fast enough to end soon. */
const LIMIT = { bandwidthLimitBytesPerSecond: 48 * MiB };
/**
 * What may be captured twice after one kill: the packs that were being filled or sent, and those whose part
 * of the disk was not complete.
 */
const LOST_BYTES_PER_KILL = 64 * MiB;

const random = new Randomness(process.env.CAUSEWAY_TEST_SEED ?? "survival");
let site: Site;

beforeAll(async () => {
  const disks = Object.entries(DISKS).map(([name, size]) => [name, size * MiB]);
  site = await Site.start({ disks: Object.fromEntries(disks) });
});
afterAll(() => site?.[Symbol.asyncDispose]());

/**
 * Waits for a random moment of the capture between two shares of it, and gives what it has uploaded by then.
 */
async function inCapture(disk: Disk, before: number, from: number, to: number): Promise<number> {
  const wanted = random.between(from, to) * contentOf(disk);
  return until(`${wanted} bytes of the capture`, () => {
    const uploaded = site.packBytes() - before;
    return uploaded >= wanted ? uploaded : undefined;
  });
}

async function inMaterialise(id: string, disk: Disk): Promise<void> {
  const wanted = random.between(0.1, 0.9) * contentOf(disk);
  await until(`${wanted} bytes of the image`, () => site.writtenBytes(id, disk) >= wanted || undefined);
}

async function inVerify(id: string, times: number): Promise<void> {
  await site.began(id, "verify", times);
  await sleep(random.between(0, 300));
}

async function powerCut(...names: string[]): Promise<void> {
  await site.kill(...names);
  await site.restart(...names);
}

/**
 * Complete, every byte equal, and nothing stored again but what the kills of the source (`kills`, the last
 * after `uploaded` bytes) explain.
 */
async function expectWhole(id: string, disk: Disk, before: number, kills = 0, uploaded = 0): Promise<void> {
  const { state, result } = await site.ended(id);
  expect(state).toBe("completed");
  expect(await site.difference(id, disk)).toBeUndefined();
  expect(site.count("succeeded", id, "verify")).toBe(1);
  const whole = contentOf(disk) * 1.05;
  const lost = kills * LOST_BYTES_PER_KILL;
  expect(site.packBytes() - before).toBeLessThan(whole + lost);
  // This counts only the last attempt.
  expect(result?.bytesStored).toBeLessThan(whole - Math.max(0, uploaded - lost));
}

test("an undisturbed conversion stores each used byte once", async () => {
  const id = await site.convert("undisturbed");
  await expectWhole(id, "undisturbed", 0);
});

test("after kill -9 during the capture, twice, and between its steps, the source agent continues where it stopped", async () => {
  const before = site.packBytes();
  const id = await site.convert("source", LIMIT);
  await inCapture("source", before, 0.35, 0.5);
  await powerCut("source");
  const uploaded = await inCapture("source", before, 0.8, 0.95);
  await powerCut("source");
  await until(
    "the capture to end",
    () => site.count("succeeded", id, "take-recovery-point") > 0 || undefined,
  );
  await powerCut("source");
  await expectWhole(id, "source", before, 2, uploaded);
});

test("after kill -9 of the target agent while it writes, while it verifies and in between, the copy is right", async () => {
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
  await expectWhole(id, "target", before);
});

test("after kill -9 of the control plane in every step, the conversion completes", async () => {
  const before = site.packBytes();
  const id = await site.convert("cloud", LIMIT);
  await powerCut("cloud");
  await inCapture("cloud", before, 0.3, 0.7);
  await powerCut("cloud");
  await until(
    "the capture to end",
    () => site.count("succeeded", id, "take-recovery-point") > 0 || undefined,
  );
  await powerCut("cloud");
  await inMaterialise(id, "cloud");
  await powerCut("cloud");
  await inVerify(id, 1);
  await powerCut("cloud");
  await expectWhole(id, "cloud", before);
});

test("after kill -9 of everything at once in every step, the conversion completes", async () => {
  const all = ["cloud", "source", "target"];
  const before = site.packBytes();
  const id = await site.convert("all", LIMIT);
  const uploaded = await inCapture("all", before, 0.6, 0.8);
  await powerCut(...all);
  await until(
    "the capture to end",
    () => site.count("succeeded", id, "take-recovery-point") > 0 || undefined,
  );
  await powerCut(...all);
  await inMaterialise(id, "all");
  await powerCut(...all);
  await inVerify(id, 1);
  await powerCut(...all);
  await expectWhole(id, "all", before, 1, uploaded);
});
