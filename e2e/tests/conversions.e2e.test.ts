import { randomUUID } from "node:crypto";
import { globSync, readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { printingDisk } from "#agent/hypervisor/testing/tiny-guest.ts";
import type { Drill } from "#shared/protocol/drill.ts";
import type { NewConversion } from "#shared/protocol/resources.ts";
import { changeTestDisk } from "../testing/disk-content.ts";
import { Site } from "../testing/site.ts";
import { BrokenDevice, Tmpfs } from "../testing/storage.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;
const SLOW = { bandwidthLimitBytesPerSecond: 8 * MiB };
const SMALL = 24 * MiB;
const BROKEN_BYTES = 32 * MiB;
const READABLE_BYTES = 28 * MiB;

let scratch: string;
let images: Tmpfs;
let broken: BrokenDevice;
let site: Site;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "causeway-storage-"));
  images = Tmpfs.mount(join(scratch, "images"), 512 * MiB);
  broken = await BrokenDevice.create(join(scratch, "backing"), BROKEN_BYTES, READABLE_BYTES);
  site = await Site.start({
    disks: { cancelled: 96 * MiB, shrinking: 64 * MiB, changing: 64 * MiB, small: SMALL },
    otherDisks: { broken: broken.path },
    imagesDir: images.path,
  });
  await makeSilentSystem("cancelled");
});
afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
  broken?.remove();
  images?.unmount();
  if (scratch) await rm(scratch, { recursive: true, force: true });
});

/** A system that starts and says no more: a boot check of it lasts until its time is over. */
async function makeSilentSystem(disk: string): Promise<void> {
  await using file = await open(site.diskPath(disk), "r+");
  await file.write(printingDisk("it starts").subarray(0, 512), 0, 512, 0);
}

/** The command line of a conversion of one disk. */
function convertWords(disk: string): string[] {
  return [
    "convert",
    site.sourceId,
    "--type",
    "hot",
    "--target",
    site.targetId,
    "--format",
    "raw",
    "--disk",
    disk,
    "--wait",
  ];
}

async function expectEqual(id: string, disk: string): Promise<void> {
  expect(await site.ended(id)).toMatchObject({ state: "completed" });
  expect(await site.difference(id, disk)).toBeUndefined();
}

/** QEMUs on this machine that have one of the target's images open. */
function usersOfImages(): string[] {
  return globSync("/proc/[0-9]*/fd/*").filter((path) => {
    try {
      const isQemu = readFileSync(join(path, "../../comm"), "utf8").startsWith("qemu-system");
      return isQemu && readlinkSync(path).startsWith(site.imagesDir);
    } catch {
      return false; // It has ended in between.
    }
  });
}

const moments: [string, Partial<NewConversion>, (id: string) => Promise<unknown>, string?][] = [
  ["at once", SLOW, async () => {}],
  ["while it captures", SLOW, (id) => site.began(id, "take-recovery-point"), "capture"],
  [
    "when the capture is done",
    {},
    (id) => until("the capture", () => site.count("succeeded", id, "take-recovery-point") || undefined),
  ],
  ["while the target writes", {}, (id) => site.began(id, "materialise")],
  ["while the target verifies", {}, (id) => site.began(id, "verify")],
  [
    "while the clone boots",
    { bootCheck: true },
    (id) => until(`QEMU for ${id}`, () => usersOfImages()[0]),
    "boot-check",
  ],
];

test.each(moments)(
  "a conversion cancelled %s ends as cancelled and releases everything that it used",
  async (_, options, moment, step) => {
    const id = await site.convert("cancelled", options);
    await moment(id);
    await site.api.cancelConversion({ parameters: { id } });
    const conversion = await site.ended(id);
    expect(conversion).toMatchObject({ state: "cancelled" });
    expect(conversion.failure).toBeUndefined();
    if (step) expect(conversion.steps.find(({ state }) => state === "cancelled")?.name).toBe(step);
    await site.released(id);
    expect(usersOfImages()).toEqual([]);
  },
);

test("a source whose conversions were all cancelled can be converted", async () => {
  await expectEqual(await site.convert("cancelled"), "cancelled");
});

test("the command line reports a conversion that was cancelled elsewhere, and a source that another conversion holds", async () => {
  await changeTestDisk(site.diskPath("small"), 0, randomUUID());
  const waiting = site.installation.cli([
    ...convertWords("small"),
    "--bandwidth-limit",
    String(MiB),
    "--json",
  ]);
  const running = await until("the conversion", async () => {
    const { items } = await site.api.listConversions({ query: { state: "running" } });
    return items[0];
  });
  const second = await site.installation.cli(convertWords("small"));
  expect(second).toMatchObject({ code: 4, stderr: expect.stringContaining(running.id) });
  await expect(site.convert("small")).rejects.toMatchObject({ name: "ApiError", problem: { status: 409 } });
  await site.installation.json(["cancel", running.id]);
  const { code, stdout } = await waiting;
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ id: running.id, state: "cancelled" });
});

test("a second conversion stores only what has changed", async () => {
  await expectEqual(await site.convert("changing"), "changing");
  for (const at of [5, 3_000_000, 40_000_000])
    await changeTestDisk(site.diskPath("changing"), at, `change at ${at}`);
  const id = await site.convert("changing");
  await expectEqual(id, "changing");
  const { result } = await site.conversion(id);
  expect(result?.bytesStored).toBeGreaterThan(3 * 3000);
  expect(result?.bytesStored).toBeLessThan(MiB);
});

test("a disk that shrinks during the capture fails the conversion with an error that says so", async () => {
  const before = site.packBytes();
  const id = await site.convert("shrinking", SLOW);
  await until("the capture's first bytes", () => site.packBytes() > before || undefined);
  await truncate(site.diskPath("shrinking"), 40 * MiB);
  const { state, failure } = await site.ended(id);
  expect(state).toBe("failed");
  expect(failure).toMatchObject({
    name: "DiskShrankError",
    hint: expect.stringContaining("again"),
    retryable: false,
  });
  await site.released(id);
});

test("unreadable parts of a device are reported as bad ranges, and everything else is copied", async () => {
  const id = await site.convert("broken");
  const conversion = await site.ended(id);
  expect(conversion).toMatchObject({ state: "completed", result: { badRanges: expect.any(Number) } });
  expect(conversion.result?.badRanges).toBeGreaterThan(0);
  await using image = await open(site.imagePath(id, "broken"));
  const written = Buffer.alloc(BROKEN_BYTES);
  expect(await image.read(written, 0, BROKEN_BYTES, 0)).toMatchObject({ bytesRead: BROKEN_BYTES });
  expect(written.subarray(0, READABLE_BYTES).equals(broken.content.subarray(0, READABLE_BYTES))).toBe(true);
  expect(written.subarray(READABLE_BYTES).every((byte) => byte === 0)).toBe(true);

  const point = conversion.recoveryPointId ?? "";
  const restored = await site.installation.json([
    "restore",
    point,
    "--disk",
    "broken",
    "--to",
    join(site.dir, "restored"),
  ]);
  expect(restored).toMatchObject({ badRanges: conversion.result?.badRanges });
  const points = await site.installation.json(["points", site.sourceId]);
  expect(points).toMatchObject({
    items: expect.arrayContaining([
      expect.objectContaining({
        id: point,
        disks: [expect.objectContaining({ badRanges: conversion.result?.badRanges })],
      }),
    ]),
  });
});

test("a drill boots a recovery point, keeps its evidence, and removes the clone; cancelled, it removes it too", async () => {
  await makeSilentSystem("small");
  const { recoveryPointId = "" } = await site.ended(await site.convert("small"));
  const words = ["drill", recoveryPointId, "--target", site.targetId, "--boot-timeout"];
  const { code, stdout } = await site.installation.cli([...words, "10", "--wait", "--json"]);
  expect(code).toBe(1);
  const drill = JSON.parse(stdout) as Drill;
  const verdict = expect.stringMatching(/^(not-booted|unknown)$/);
  expect(drill).toMatchObject({ state: "completed", result: { verdict, consoleLogKey: expect.any(String) } });
  expect(
    globSync(`s3/buckets/*/${drill.result?.consoleLogKey}@*`, { cwd: join(site.dir, "cloud") }),
  ).toHaveLength(1);
  expect(await site.images(drill.id)).toEqual([]);
  const point = await site.api.getRecoveryPoint({ parameters: { id: recoveryPointId } });
  expect(point.bootTested).toMatchObject({ drillId: drill.id, verdict: drill.result?.verdict });

  const second = (await site.installation.json([...words, "600"])) as Drill;
  await until("QEMU for the drill", () => usersOfImages()[0]);
  await site.installation.json(["cancel", second.id]);
  await until("the drill to end", async () => {
    const { state } = await site.api.getDrill({ parameters: { id: second.id } });
    return state === "cancelled" || undefined;
  });
  await site.released(second.id);
  expect(usersOfImages()).toEqual([]);
});

test("a full disk on the target fails the conversion and says how much to free; once there is room, the next one completes", async () => {
  const filler = join(images.path, "filler");
  const leave = async (bytes: number) => writeFile(filler, Buffer.alloc(images.freeBytes() - bytes, 1));
  await leave(8 * MiB);
  const early = await site.ended(await site.convert("small"));
  expect(early).toMatchObject({
    state: "failed",
    failure: { name: "DiskFullError", hint: expect.stringContaining("Free at least") },
  });
  expect(early.steps.find(({ state }) => state === "failed")?.name).toBe("materialise");
  await site.released(early.id);
  await rm(filler);
  await expectEqual(await site.convert("small"), "small");
});

test("a conversion is refused, with the remedy, if an agent is disconnected at the request", async () => {
  await site.installation.daemon("target").stop();
  await until("the target to be away", async () => {
    const target = await site.api.getTarget({ parameters: { id: site.targetId } });
    return target.presence === "disconnected" || undefined;
  });
  const { code, stderr } = await site.installation.cli(convertWords("small"));
  expect({ code, stderr }).toMatchObject({
    code: 4,
    stderr: expect.stringContaining("Start the agent on the target host"),
  });
  await site.restart("target");
});
