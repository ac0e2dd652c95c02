import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { AwsError } from "#local/core/aws-error.ts";
import type { Fault, FaultyMessage } from "#local/iot/faults.ts";
import type { FaultOutcome } from "#local/s3/s3-service.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import { faultyCloud, SkippingClock } from "../testing/faulty-cloud.ts";
import { Randomness } from "../testing/randomness.ts";
import { Site } from "../testing/site.ts";
import { Tmpfs } from "../testing/storage.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;
const KINDS: CommandKind[] = ["take-recovery-point", "materialise", "verify"];
/**
 * The workflow's patience with a silent agent, and a little. Twice this is still within the clock skew that
 * AWS accepts of a signature.
 */
const BEYOND_HEARTBEAT_MS = 125_000;
const SEED = process.env.CAUSEWAY_TEST_SEED ?? "faults";

type Decide = (message: FaultyMessage) => Fault;
type Before = (request: { operation: string; key: string }) => Promise<FaultOutcome>;
const clock = new SkippingClock();
let mqtt: Decide | undefined;
let s3: Before | undefined;
let scratch: string;
let images: Tmpfs;
let site: Site;

beforeAll(async () => {
  const names = ["order", "lost", "lostResult", "away", "s3", "refused", "full"];
  scratch = await mkdtemp(join(tmpdir(), "causeway-storage-"));
  images = Tmpfs.mount(join(scratch, "images"), 512 * MiB);
  site = await Site.start({
    imagesDir: images.path,
    disks: Object.fromEntries(names.map((name) => [name, (name === "away" ? 96 : 32) * MiB])),
    start: faultyCloud(
      {
        mqtt: { decide: (message) => mqtt?.(message) ?? { kind: "pass" } },
        s3: { before: async (request) => s3?.(request) },
      },
      clock,
    ),
  });
});
afterEach(() => {
  mqtt = undefined;
  s3 = undefined;
});
afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
  images?.unmount();
  if (scratch) await rm(scratch, { recursive: true, force: true });
});

/** The conversion completed, every byte is equal and every command ran once. */
async function expectOnce(id: string, disk: string): Promise<void> {
  expect(await site.ended(id)).toMatchObject({ state: "completed" });
  expect(await site.difference(id, disk)).toBeUndefined();
  for (const kind of KINDS)
    expect({ kind, runs: site.count("started", id, kind) }).toEqual({ kind, runs: 1 });
}

test("duplicate, late and reordered messages change nothing, in both directions", async () => {
  const chance = new Randomness(SEED);
  const seen: string[] = [];
  mqtt = ({ direction }) => {
    const roll = chance.next();
    const kind = roll < 0.35 ? "duplicate" : roll < 0.7 ? "delay" : "pass";
    seen.push(`${kind} ${direction}`);
    return kind === "delay" ? { kind, delayMs: chance.between(10, 1000) } : { kind };
  };
  await expectOnce(await site.convert("order"), "order");
  await expectOnce(await site.convert("order"), "order");
  for (const what of ["duplicate to-broker", "duplicate to-client", "delay to-broker", "delay to-client"])
    expect(seen).toContain(what);
});

test("a command that was lost is sent again after the heartbeat", async () => {
  let lost = false;
  mqtt = ({ direction }) => {
    if (direction !== "to-client") return { kind: "pass" };
    lost = true;
    return { kind: "drop" };
  };
  const id = await site.convert("lost");
  await until("the command to be lost", () => lost || undefined);
  mqtt = undefined;
  await sleep(300);
  expect(site.count("started", id, "take-recovery-point")).toBe(0);
  clock.skip(BEYOND_HEARTBEAT_MS);
  await expectOnce(id, "lost");
});

test("an agent repeats a lost result after it has connected again", async () => {
  const id = await site.convert("lostResult", { bandwidthLimitBytesPerSecond: 16 * MiB });
  await site.began(id, "take-recovery-point");
  mqtt = ({ direction }) => ({ kind: direction === "to-broker" ? "drop" : "pass" });
  await until("the capture to end", () => site.count("succeeded", id, "take-recovery-point") || undefined);
  await sleep(500);
  mqtt = undefined;
  await expectOnce(id, "lostResult");
});

test("an agent that is disconnected for longer than its heartbeat continues where it stopped when it is back", async () => {
  const before = site.packBytes();
  const id = await site.convert("away", { bandwidthLimitBytesPerSecond: 16 * MiB });
  await until("a part of the capture", () => site.packBytes() - before > 20 * MiB || undefined);
  await site.kill("source");
  clock.skip(BEYOND_HEARTBEAT_MS);
  await sleep(1000);
  expect(await site.conversion(id)).toMatchObject({ state: "running" });
  await site.restart("source");
  expect(await site.ended(id)).toMatchObject({ state: "completed" });
  expect(await site.difference(id, "away")).toBeUndefined();
  expect(site.count("started", id, "take-recovery-point")).toBe(2);
});

test("an S3 that fails, is busy, resets connections, loses answers and is slow only delays a conversion", async () => {
  const chance = new Randomness(SEED);
  const faults = ["InternalError", "SlowDown", "reset", "lose-answer", "slow"] as const;
  const seen = new Set<string>();
  s3 = async () => {
    const fault = faults[Math.floor(chance.next() * 10)];
    if (!fault) return;
    seen.add(fault);
    if (fault === "slow") await sleep(500);
    else if (fault === "reset" || fault === "lose-answer") return fault;
    else throw new AwsError(fault, "Try again.", fault === "SlowDown" ? 503 : 500);
  };
  await expectOnce(await site.convert("s3"), "s3");
  await expectOnce(await site.convert("s3"), "s3");
  expect([...seen].sort()).toEqual([...faults].sort());
});

test("an S3 that refuses ends the conversion at once with that error; once it accepts again, the next one completes", async () => {
  for (const [refused, step] of [
    ["PutObject", "capture"],
    ["GetObject", "materialise"],
  ] as const) {
    s3 = async ({ operation, key }) => {
      if (operation === refused && key.includes("/packs/"))
        throw new AwsError("AccessDenied", "Access Denied", 403);
    };
    const id = await site.convert("refused");
    const conversion = await site.ended(id);
    expect(conversion).toMatchObject({
      state: "failed",
      failure: { name: "StoreRefusedError", retryable: false },
    });
    expect(conversion.steps.find(({ state }) => state === "failed")?.name).toBe(step);
    await site.released(id);
  }
  s3 = undefined;
  await expectOnce(await site.convert("refused"), "refused");
});

test("a target whose disk fills up while it writes fails with that error, leaves nothing half-done, and has room again", async () => {
  const filled = Promise.withResolvers<void>();
  s3 = async ({ operation, key }) => {
    if (operation !== "GetObject" || !key.includes("/packs/")) return;
    await sleep(500);
    // Even if this test is slow, something must be left to write when the disk is full.
    if (site.writtenBytes(id, "full") > 0) await filled.promise;
  };
  const id = await site.convert("full");
  await until("the first bytes", () => site.writtenBytes(id, "full") || undefined);
  const filler = join(images.path, "filler");
  await writeFile(filler, Buffer.alloc(images.freeBytes(), 1)).catch((error: NodeJS.ErrnoException) => {
    // The target may have written some of it in between.
    if (error.code !== "ENOSPC") throw error;
  });
  filled.resolve();
  const { state, failure } = await site.ended(id);
  expect(state).toBe("failed");
  expect(failure).toMatchObject({ name: "DiskFullError", hint: expect.stringContaining("Free at least") });
  await site.released(id);
  s3 = undefined;
  await rm(filler);
  await expectOnce(await site.convert("full"), "full");
});
