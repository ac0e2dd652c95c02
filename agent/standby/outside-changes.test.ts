/** What other programs do to a standby, its folder and its repository, and what an operator then gets. */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { Point } from "#shared/format/point.ts";
import { isRoot } from "../filesystems/testing/test-image.ts";
import { commitPoint } from "../repository/points.ts";
import { type Disks, difference, noise, PLAN, StandbyWorld } from "./testing/standby-world.ts";

const MIB = 2 ** 20;
const LEAF = 16 * MIB;
let world: StandbyWorld;
let disks: Disks;
let point: Point;

beforeEach(async () => {
  world = new StandbyWorld();
  disks = { sda: Buffer.concat([noise(MIB), Buffer.alloc(2 * LEAF), noise(100)]) };
  point = await world.capture(disks);
  await world.apply(point);
});
afterEach(() => world[Symbol.dispose]());

/** Changes a byte of the standby; the file's time is as before if `secretly`. */
async function change(offset: number, secretly: boolean): Promise<void> {
  const path = world.pathOf("sda");
  const { atimeNs, mtimeNs } = statSync(path, { bigint: true });
  await using file = await open(path, "r+");
  await file.write(Buffer.from([1]), 0, 1, offset);
  const seconds = (ns: bigint) => Number(ns) / 1e9;
  if (secretly) utimesSync(path, seconds(atimeNs), seconds(mtimeNs));
}

/** Makes the record agree with the file's time, which cannot be set to the nanosecond. */
async function recordTime(): Promise<void> {
  const record = await world.standbys.read(PLAN);
  const { ino, mtimeNs, size } = statSync(world.pathOf("sda"), { bigint: true });
  const stamp = { inode: String(ino), modifiedNs: String(mtimeNs), sizeBytes: Number(size) };
  if (record)
    await world.standbys.write(PLAN, { ...record, disks: record.disks.map((disk) => ({ ...disk, stamp })) });
}

const comparison = (why: string) => ({ method: "comparison", why });

test("a change from outside is found by the file's time, and repaired with the next point", async () => {
  await change(LEAF + 5, false);
  const next = { sda: Buffer.from(disks.sda ?? "").fill(9, 0, 10) };
  const applied = await world.apply(await world.capture(next));
  expect(difference(world.images(), next)).toBe("");
  expect(applied.disks[0]?.how).toEqual(comparison("changed-from-outside"));
  expect(applied).toMatchObject({ leavesRepaired: 1, bytesWritten: BLOCK_BYTES, bytesZeroed: BLOCK_BYTES });
});

test("a change that leaves the file's time alone is found by the sample, or by a check of the whole", async () => {
  await change(LEAF + 5, true);
  await recordTime();
  const sampling = { fraction: 1, maxBytes: LEAF, random: () => 0 };
  const missed = await world.apply(point, { sampling });
  expect(missed).toMatchObject({ leavesChecked: 1, leavesRepaired: 0, bytesRead: LEAF });
  const found = await world.apply(point, { sampling: { ...sampling, random: () => 0.4 } });
  expect(found.disks[0]?.how).toEqual(comparison("changed-from-outside"));
  expect(found).toMatchObject({ leavesRepaired: 1, bytesZeroed: BLOCK_BYTES });
  expect(difference(world.images(), disks)).toBe("");
  await change(3, true);
  await recordTime();
  const whole = await world.apply(point, { whole: true });
  expect(whole.disks[0]?.how).toEqual(comparison("asked-for"));
  expect(whole).toMatchObject({ leavesChecked: 3, leavesRepaired: 1, bytesWritten: BLOCK_BYTES });
  expect(difference(world.images(), disks)).toBe("");
});

test("a kill during a repair does not lose what was found", async () => {
  await change(LEAF + 5, false);
  // The store fails when the first map is read, after the record has said what is begun.
  const failing = { ...world.repository, store: Object.create(world.store, { get: { value: fail } }) };
  function fail(): Promise<Buffer> {
    return Promise.reject(new Error("no contact"));
  }
  await expect(world.apply(point, { repository: failing })).rejects.toThrow("no contact");
  await recordTime();
  const applied = await world.apply(point);
  expect(applied.disks[0]?.how).toEqual(comparison("unknown-content"));
  expect(difference(world.images(), disks)).toBe("");
});

test("an image that was removed, shortened or replaced is made again", async () => {
  const path = world.pathOf("sda");
  for (const harm of [
    () => rmSync(path),
    () => truncateSync(path, 5),
    () => execFileSync("sh", ["-c", 'cp "$0" "$0.new" && mv "$0.new" "$0"', path]),
  ]) {
    harm();
    await world.apply(point);
    expect(difference(world.images(), disks)).toBe("");
  }
});

test("if the earlier point was pruned and collected, all of the image is compared", async () => {
  const before = new Set(world.store.objects.keys());
  const next = { sda: Buffer.from(disks.sda ?? "").fill(9, LEAF, LEAF + 10) };
  const later = new StandbyWorld(join(world.dir, "other"));
  const other = await later.capture({ ...next, sdb: noise(10) });
  const wanted = { ...other, pointId: "rp_9", disks: other.disks.slice(0, 1) };
  for (const key of before) world.store.objects.delete(key);
  for (const [key, bytes] of later.store.objects) world.store.objects.set(key, bytes);
  await commitPoint(world.repository, wanted, { startedAt: 0, now: 0 });
  const applied = await world.apply(wanted);
  expect(applied.disks[0]?.how).toEqual(comparison("earlier-map-lost"));
  expect(applied).toMatchObject({ bytesWritten: BLOCK_BYTES, leavesRepaired: 0 });
  expect(difference(world.images(), next)).toBe("");
});

test("a map that has more than its point claims, or nodes that the point did not seal, is refused", async () => {
  const honest = await world.capture({ sda: noise(3 * MIB) });
  const [disk] = honest.disks;
  if (!disk) throw new RangeError("no disk");
  const falsehoods = [
    { usedBytes: 2 * MIB },
    { contentHash: point.disks[0]?.contentHash ?? "", sizeBytes: disk.sizeBytes },
    { root: point.disks[0]?.root ?? null },
  ];
  for (const [at, change] of falsehoods.entries()) {
    const altered = { ...honest, pointId: `rp_false${at}`, disks: [{ ...disk, ...change }] };
    await commitPoint(world.repository, altered, { startedAt: 0, now: 0 });
    await expect(world.apply(altered)).rejects.toMatchObject({ name: "DamagedObjectError" });
    expect((await world.standbys.read(PLAN))?.applying).toHaveLength(1);
    await world.apply(point);
    expect(difference(world.images(), disks)).toBe("");
  }
});

test("what this agent did not write is neither changed nor removed", async () => {
  const notOurs = { name: "StandbyNotOursError" };
  const folder = join(world.dir, "images");
  await expect(world.apply({ ...point }, { point: { ...point, sourceId: "agt_9" } })).rejects.toMatchObject(
    notOurs,
  );
  mkdirSync(join(folder, "plan_2"));
  writeFileSync(join(folder, "plan_2", "sda.raw"), "of the host");
  await expect(world.apply(point, { planId: "plan_2" })).rejects.toMatchObject(notOurs);
  await world.standbys.forget("plan_2");
  expect(statSync(join(folder, "plan_2", "sda.raw")).size).toBe(11);
  writeFileSync(world.pathOf("sdb"), "of the host");
  const two = await world.capture({ ...disks, sdb: noise(10) });
  await expect(world.apply(two)).rejects.toMatchObject(notOurs);
  const victim = join(world.dir, "victim");
  writeFileSync(victim, "of the host");
  rmSync(world.pathOf("sda"));
  symlinkSync(victim, world.pathOf("sda"));
  await expect(world.apply(point)).rejects.toMatchObject(notOurs);
  expect(statSync(victim).size).toBe(11);
  for (const planId of ["../images", "plan_1/..", "", "cnv_1\0"])
    await expect(world.apply(point, { planId })).rejects.toThrow();
  await world.standbys.forget(PLAN);
  await world.standbys.forget(PLAN);
  expect(world.images()).toEqual({});
});

test.runIf(isRoot)("if the storage is full, the point is finished once there is room", async () => {
  const mounted = join(world.dir, "small");
  mkdirSync(mounted);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "none", mounted]);
  try {
    using small = new StandbyWorld(join(mounted, "host"));
    const full = { name: "DiskFullError" };
    const first = noise(5 * MIB);
    await small.apply(await small.capture({ sda: first }));
    await expect(small.apply(await small.capture({ sda: noise(30 * MIB) }))).rejects.toMatchObject(full);
    expect((await small.standbys.read(PLAN))?.applying).toEqual([]);
    // Single blocks of zeros free no room, so there is less than it seemed before.
    const sda = Buffer.concat([first, noise(5 * MIB)]);
    for (let at = 0; at < first.length; at += 2 * BLOCK_BYTES) sda.fill(0, at, at + BLOCK_BYTES);
    const next = await small.capture({ sda });
    await expect(small.apply(next)).rejects.toMatchObject(full);
    expect((await small.standbys.read(PLAN))?.applying).toHaveLength(1);
    execFileSync("mount", ["-o", "remount,size=32m", mounted]);
    await small.apply(next);
    expect(difference(small.images(), { sda })).toBe("");
  } finally {
    execFileSync("umount", [mounted]);
  }
});
