/** Each pair of the table of docs/format.md, "Operations at the same time". */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FileJournal } from "#agent/capture/journal.ts";
import { checkRepository } from "#agent/repository/check.ts";
import { CaptureTooOldError, listPoints, readPoint } from "#agent/repository/points.ts";
import { restoreDisk } from "#agent/restore/restore.ts";
import { RepositoryWorld, sparseDisk } from "./testing/repository-world.ts";

const first = sparseDisk(1);
let world: RepositoryWorld;

beforeEach(async () => {
  world = await RepositoryWorld.start();
});
afterEach(() => world[Symbol.asyncDispose]());

const findings = async () => (await checkRepository({ repository: world.repository })).findings;

async function restored(pointId: string): Promise<Buffer> {
  const image = Buffer.alloc(first.length);
  await restoreDisk({
    repository: world.repository,
    disk: await world.diskOf(pointId),
    sink: { write: async (offset, bytes) => void image.set(bytes, offset) },
  });
  return image;
}

test("capture × prune × collect: the parent is marked at once, and the capture commits at its last moment", async () => {
  await world.addPoint("rp_1", first);
  world.days(30);
  const commit = await world.capture("rp_2", sparseDisk(1, [3]));
  await world.mark("rp_1");
  world.days(4.9);
  expect(await world.collect()).toMatchObject({ points: 0, packs: 0 });
  await commit();
  world.days(2.2);
  expect(await world.collect()).toMatchObject({ living: 1, points: 1 });
  expect(await findings()).toEqual([]);
  expect(await listPoints(world.repository)).toEqual(["rp_2"]);
});

test("capture × collect: a commit later than the capture age is refused", async () => {
  await world.addPoint("rp_1", first);
  const commit = await world.capture("rp_2", sparseDisk(1, [3]));
  world.days(5.1);
  await expect(commit()).rejects.toThrow(CaptureTooOldError);
});

test("capture × collect: a first capture that takes weeks keeps its packs while a conversion holds the source", async () => {
  world.heldSince = world.clock.now();
  const commit = await world.capture("rp_1", first, { parentId: null });
  world.days(30);
  expect(await world.collect()).toMatchObject({ packs: 0 });
  await commit();
  world.heldSince = undefined;
  expect(await world.collect()).toMatchObject({ living: 1, packs: 0 });
  expect(await findings()).toEqual([]);
});

test("capture × collect: a capture that was interrupted for days continues from its journal", async () => {
  world.heldSince = world.clock.now();
  const path = join(mkdtempSync(join(tmpdir(), "journal-")), "sda.journal");
  await world.capture("rp_1", first, { parentId: null, journal: new FileJournal(path) });
  world.days(20);
  expect(await world.collect()).toMatchObject({ packs: 0 });
  const commit = await world.capture("rp_1", first, { parentId: null, journal: new FileJournal(path) });
  await commit();
  expect(await findings()).toEqual([]);
});

test("capture × collect: a point that becomes visible during a mark keeps what it names", async () => {
  await world.addPoint("rp_1", first);
  await world.mark("rp_1");
  world.days(6.9);
  const commit = await world.capture("rp_2", sparseDisk(2), { parentId: null });
  let turn = 0;
  let committed: Promise<void> | undefined;
  await world.collect({
    stop: () => {
      committed ??= commit();
      return turn++ % 2 === 1;
    },
  });
  await committed;
  world.days(0.2);
  expect(await world.collect()).toMatchObject({ living: 1, points: 1 });
  expect(await findings()).toEqual([]);
});

test("prune × collect: a point that is marked while the collection runs is alive in it", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", sparseDisk(2));
  world.days(30);
  let marked: Promise<void> | undefined;
  const collected = await world.collect({
    stop: () => {
      marked ??= world.mark("rp_1");
      return false;
    },
  });
  await marked;
  expect(collected).toMatchObject({ living: 2, points: 0, packs: 0 });
});

test("prune × restore: a pruned point restores for the safety age", async () => {
  await world.addPoint("rp_1", first);
  await world.mark("rp_1");
  world.days(6.9);
  await world.collect();
  expect((await restored("rp_1")).equals(first)).toBe(true);
});

test("collect × collect: two at once delete the same, and a third finds nothing", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", sparseDisk(2));
  await world.mark("rp_1");
  world.days(8);
  const dry = await world.collect({ dryRun: true });
  const both = await Promise.all([world.collect(), world.collect()]);
  for (const one of both) if (one.problem === undefined) expect(one.points).toBeLessThanOrEqual(dry.points);
  expect(await findings()).toEqual([]);
  expect(await world.collect()).toMatchObject({ living: 1, points: 0, packs: 0 });
});

test("restore × collect: a restore that runs past the safety age names the missing object", async () => {
  await world.addPoint("rp_1", first);
  const disk = await world.diskOf("rp_1");
  await world.mark("rp_1");
  world.days(8);
  await world.collect();
  await expect(readPoint(world.repository, "rp_1")).rejects.toMatchObject({ name: "ObjectNotFoundError" });
  const image = restoreDisk({ repository: world.repository, disk, sink: { write: async () => {} } });
  await expect(image).rejects.toThrow(/sources\/agt_1\/packs\/[0-9a-f]{64} is damaged: it is missing/);
});

test("check × collect: a check after a collection finds nothing", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", sparseDisk(1, [3, 300]));
  await world.mark("rp_1");
  world.days(8);
  await world.collect();
  const report = await checkRepository({ repository: world.repository });
  expect(report).toMatchObject({ ok: true, points: 1, unreferenced: [] });
});

test("check × collect: what a collection deletes during a check is no damage", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", sparseDisk(2));
  // Of a capture that was given up.
  await world.capture("rp_3", sparseDisk(3), { parentId: null });
  await world.mark("rp_1");
  world.days(8);
  const { store } = world.repository;
  let reads = 0;
  const get: typeof store.get = async (key, options) => {
    // The key and the first pack are read; the rest was listed and goes now.
    if (++reads === 3) await world.collect();
    return store.get(key, options);
  };
  const busy = { get, put: store.put.bind(store), list: store.list.bind(store) };
  const report = await checkRepository({ repository: { ...world.repository, store: busy } });
  expect(report.findings).toEqual([]);
  expect((await world.allKeys()).filter((key) => key.includes("/points/"))).toHaveLength(1);
});

test("check × collect: a pack that a living point needs is missing whenever it disappears", async () => {
  await world.addPoint("rp_1", first);
  await world.mark("rp_1");
  const [pack = ""] = (await world.allKeys()).filter((key) => key.includes("/packs/"));
  await world.objects.delete([pack]);
  expect(await findings()).toMatchObject([{ object: pack, problem: "missing" }]);
});

test("capture × capture: two captures of one server at once both commit, and both points are complete", async () => {
  await world.addPoint("rp_1", first);
  const commits = await Promise.all([
    world.capture("rp_2", sparseDisk(1, [3])),
    world.capture("rp_3", sparseDisk(1, [300])),
  ]);
  await Promise.all(commits.map((commit) => commit()));
  expect(await listPoints(world.repository)).toEqual(["rp_1", "rp_2", "rp_3"]);
  expect(await findings()).toEqual([]);
  expect((await restored("rp_2")).equals(sparseDisk(1, [3]))).toBe(true);
  expect((await restored("rp_3")).equals(sparseDisk(1, [300]))).toBe(true);
});

test("capture × restore, check: before the commit readers see the points before it, and its packs are no damage", async () => {
  await world.addPoint("rp_1", first);
  const commit = await world.capture("rp_2", sparseDisk(1, [3]));
  expect(await listPoints(world.repository)).toEqual(["rp_1"]);
  await expect(readPoint(world.repository, "rp_2")).rejects.toMatchObject({ name: "ObjectNotFoundError" });
  expect((await restored("rp_1")).equals(first)).toBe(true);
  const during = await checkRepository({ repository: world.repository });
  expect(during).toMatchObject({ ok: true, points: 1 });
  expect(during.unreferenced.length).toBeGreaterThan(0);
  await commit();
  expect(await checkRepository({ repository: world.repository })).toMatchObject({
    points: 2,
    unreferenced: [],
  });
});

test("prune × prune, check: a second mark changes nothing, and a point that is marked checks as before", async () => {
  await world.addPoint("rp_1", first);
  await Promise.all([world.mark("rp_1"), world.mark("rp_1")]);
  const marks = (await world.allKeys()).filter((key) => key.includes("/pruned/"));
  expect(marks).toHaveLength(1);
  world.days(6.9);
  await world.mark("rp_1");
  expect(await checkRepository({ repository: world.repository })).toMatchObject({ ok: true, points: 1 });
  world.days(0.2);
  expect(await world.collect()).toMatchObject({ living: 0, points: 1 });
});
