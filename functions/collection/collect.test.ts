import { afterEach, beforeEach, expect, test } from "vitest";
import { checkRepository } from "#agent/repository/check.ts";
import { MapReader } from "#agent/repository/map-reader.ts";
import { packKey } from "#shared/format/object-keys.ts";
import { RepositoryWorld, sparseDisk } from "./testing/repository-world.ts";

const first = sparseDisk(1);
const other = sparseDisk(2);
let world: RepositoryWorld;

beforeEach(async () => {
  world = await RepositoryWorld.start();
});
afterEach(() => world[Symbol.asyncDispose]());

/** Every point that a reader sees is whole. */
async function expectSound(points: string[]): Promise<void> {
  const report = await checkRepository({ repository: world.repository });
  expect(report.findings).toEqual([]);
  expect((await world.allKeys()).filter((key) => key.includes("/points/"))).toEqual(
    points.map((id) => `sources/agt_1/points/${id}`),
  );
}

test("a pruned point and what only it names go after the safety age, and nothing else goes", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", other);
  await world.addPoint("rp_3", sparseDisk(2, [3]));
  world.days(30);
  await world.mark("rp_1");
  expect(await world.collect()).toMatchObject({ living: 3, points: 0, packs: 0, bytes: 0 });
  world.days(6.9);
  expect(await world.collect()).toMatchObject({ living: 3, points: 0, packs: 0 });
  world.days(0.2);
  const before = await world.packs();
  const collected = await world.collect();
  expect(collected).toMatchObject({ living: 2, points: 1 });
  expect(collected.packs).toBeGreaterThan(3);
  expect(collected.bytes).toBeGreaterThan(100_000);
  expect(await world.packs()).toBe(before - collected.packs);
  await expectSound(["rp_2", "rp_3"]);
  expect(await world.collect()).toEqual({ living: 2, points: 0, packs: 0, bytes: 0 });
  // The mark stays, so no point of this id is ever taken for a living one.
  expect(await world.allKeys()).toContain("sources/agt_1/pruned/rp_1");
  expect(await world.allKeys()).toContain("sources/agt_1/key.json");
});

test("a dry run says the same and deletes nothing", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", other);
  await world.mark("rp_1");
  world.days(8);
  const before = await world.allKeys();
  const dry = await world.collect({ dryRun: true });
  expect(await world.allKeys()).toEqual(before);
  expect(await world.collect()).toEqual(dry);
  expect(dry).toMatchObject({ living: 1, points: 1 });
});

test("packs that no point ever named go once they are old", async () => {
  await world.addPoint("rp_1", first);
  await world.capture("rp_2", other);
  const all = await world.packs();
  world.days(6.9);
  expect(await world.collect()).toMatchObject({ packs: 0 });
  world.days(0.2);
  const { packs } = await world.collect();
  expect(packs).toBeGreaterThan(3);
  expect(await world.packs()).toBe(all - packs);
  await expectSound(["rp_1"]);
});

test("the base of a patch stays, with the blocks that the patch does not change", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", sparseDisk(1, [200]));
  const { child, base } = await new MapReader(world.repository, await world.diskOf("rp_2")).leaf(0);
  expect(base?.ref).not.toEqual(child);
  await world.mark("rp_1");
  world.days(8);
  let turn = 0;
  // Only the first point's top node goes, since that of the second is stored whole.
  expect(await world.collect({ stop: () => turn++ % 2 === 1 })).toMatchObject({ points: 1, packs: 1 });
  await expectSound(["rp_2"]);
  const key = packKey(world.sourceId, base?.ref.pack.name ?? "");
  await world.objects.delete([key]);
  expect((await world.collect()).problem).toContain(key);
});

test("a source without objects has nothing to collect", async () => {
  world.days(30);
  expect(await world.collect()).toEqual({ living: 0, points: 0, packs: 0, bytes: 0 });
});

test("a mark in slices comes to the same as one mark", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", sparseDisk(1, [3, 300]));
  await world.addPoint("rp_3", other);
  await world.mark("rp_3");
  world.days(8);
  const whole = await world.collect({ dryRun: true });
  let turn = 0;
  const sliced = await world.collect({ stop: () => turn++ % 2 === 1 });
  expect(turn).toBeGreaterThan(2);
  expect(sliced).toEqual(whole);
  await expectSound(["rp_1", "rp_2"]);
});

test("objects of other prefixes, boot states and foreign keys stay", async () => {
  await world.addPoint("rp_1", first);
  const kept = [
    "sources/agt_1/boot-states/cnv_1/aa.json",
    "sources/agt_1/notes.txt",
    "sources/agt_1/packs/not-a-pack",
    "sources/agt_1/packs/aa/bb",
    "sources/agt_1/points/folder/point",
    "sources/agt_2/packs/aa",
    "evidence/agt_3/x",
  ];
  for (const key of kept) await world.objects.putNew(key, Buffer.from("x"));
  world.days(60);
  expect(await world.collect()).toEqual({ living: 1, points: 0, packs: 0, bytes: 0 });
  for (const key of kept) expect(await world.objects.get(key)).toEqual(Buffer.from("x"));
});

test.each([
  [
    "a point that is not readable",
    "points/rp_9",
    Buffer.from("not a point, but long enough to look like one"),
  ],
  ["an empty point", "points/rp_9", Buffer.alloc(0)],
  [
    "a point of a later version",
    "points/rp_9",
    Buffer.concat([Buffer.from("CSWYPONT\x09\x00"), Buffer.alloc(99)]),
  ],
])("with %s nothing is deleted, and the result says why", async (_, name, bytes) => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", other);
  await world.mark("rp_1");
  await world.objects.putNew(`sources/agt_1/${name}`, bytes);
  world.days(30);
  const before = await world.allKeys();
  const collected = await world.collect();
  expect(collected).toMatchObject({ points: 0, packs: 0, bytes: 0 });
  expect(collected.problem).toContain(`sources/agt_1/${name}`);
  expect(await world.allKeys()).toEqual(before);
});

test("with a pack missing, whether of a map or of data, nothing is deleted", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", other);
  await world.mark("rp_1");
  world.days(30);
  const packs = (await world.allKeys()).filter((key) => key.includes("/packs/"));
  const garbage = (await world.collect({ dryRun: true })).packs;
  let stopped = 0;
  for (const key of packs) {
    const bytes = (await world.objects.get(key)) ?? Buffer.alloc(0);
    await world.objects.delete([key]);
    const collected = await world.collect({ dryRun: true });
    if (collected.problem) stopped += 1;
    else expect(collected.packs).toBeLessThan(garbage);
    await world.objects.putNew(key, bytes);
  }
  expect(stopped).toBe(packs.length - garbage);
});

test("without the key a source with points keeps everything", async () => {
  await world.addPoint("rp_1", first);
  await world.mark("rp_1");
  await world.addPoint("rp_2", first, null);
  world.days(30);
  await world.objects.delete(["sources/agt_1/key.json"]);
  const before = await world.allKeys();
  expect((await world.collect()).problem).toContain("key.json");
  expect(await world.allKeys()).toEqual(before);
});

test("when the answer to a deletion is an error, the collection fails and the next one finishes", async () => {
  await world.addPoint("rp_1", first);
  await world.addPoint("rp_2", other);
  await world.mark("rp_1");
  world.days(8);
  const { objects } = world;
  const remove = objects.delete.bind(objects);
  objects.delete = async (keys) => {
    if (keys.some((key) => key.includes("/packs/"))) throw new Error("S3 is away");
    await remove(keys);
  };
  await expect(world.collect()).rejects.toThrow("S3 is away");
  await expectSound(["rp_2"]);
  objects.delete = remove;
  expect(await world.collect()).toMatchObject({ points: 0 });
  await expectSound(["rp_2"]);
});
