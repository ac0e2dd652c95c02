/** Maps of captures that change little: their nodes are patches of earlier ones. */
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { DamagedObjectError } from "#shared/format/errors.ts";
import { type BlobRef, encodeLeaf } from "#shared/format/map-node.ts";
import { encodePatch } from "#shared/format/map-patch.ts";
import { packKey } from "#shared/format/object-keys.ts";
import { PackBuilder } from "#shared/format/pack.ts";
import { type MappedDisk, toMapRoot } from "#shared/format/point.ts";
import { FAN_OUT } from "#shared/format/tree.ts";
import { TestDisk, testContent } from "../disk/testing/test-disk.ts";
import { MapReader } from "../repository/map-reader.ts";
import { restoredDisk } from "../restore/testing/restored-disk.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { captureDisk } from "./capture.ts";
import { seededRandom } from "./testing/seeded-random.ts";

const MIB = 1024 * 1024;
const newRepository = () => ({ sourceId: "s1", store: new MemoryStore(), dataKey: Buffer.alloc(32, 7) });
type TestRepository = ReturnType<typeof newRepository>;

async function capture(repository: TestRepository, bytes: Buffer, previous?: MappedDisk, blocks?: number[]) {
  const changed = new BlockSet(bytes.length, BLOCK_BYTES);
  for (const block of blocks ?? []) changed.add(block * BLOCK_BYTES, BLOCK_BYTES);
  const settings = { packBytes: 2 * MIB, knownBlocks: 1024, mapPackBytes: MIB / 4, workers: 1 };
  return captureDisk({
    ...{ repository, disk: new TestDisk(bytes), diskName: "sda", now: () => 0, random: seededRandom(1) },
    settings: { ...settings, sample: { fraction: 0, maxBytes: 0 } },
    ...(previous && { previous }),
    ...(blocks && { changed }),
  });
}

/** The bytes of the packs that were stored since, by whether they are of maps. */
function storedSince(repository: TestRepository, before: ReadonlySet<string>): { map: number; data: number } {
  const added = [...repository.store.objects].filter(([key]) => !before.has(key));
  const bytes = (kind: number) =>
    added.reduce((sum, [, pack]) => sum + (pack[10] === kind ? pack.length : 0), 0);
  return { data: bytes(1), map: bytes(2) };
}

test("each of many captures with random changes ships its blocks and at most 1 % for the map, and all restore", async () => {
  const bytes = randomBytes(96 * MIB);
  const repository = newRepository();
  const random = seededRandom(3);
  let { disk } = await capture(repository, bytes);
  const points: { disk: MappedDisk; bytes: Buffer }[] = [];
  let [shipped, maps] = [0, 0];
  for (let run = 1; run <= 12; run++) {
    const changed = new Set<number>();
    // 2.4 %
    while (changed.size < 37) changed.add(Math.floor(random() * (bytes.length / BLOCK_BYTES)));
    for (const block of changed) randomBytes(BLOCK_BYTES).copy(bytes, block * BLOCK_BYTES);
    const before = new Set(repository.store.objects.keys());
    const captured = await capture(repository, bytes, disk, [...changed]);
    disk = captured.disk;
    expect(captured.statistics.changedBytes).toBe(changed.size * BLOCK_BYTES);
    const { map } = storedSince(repository, before);
    shipped += changed.size * BLOCK_BYTES;
    maps += map;
    if (run === 1) expect(map / (changed.size * BLOCK_BYTES)).toBeLessThan(0.01);
    points.push({ disk, bytes: run % 4 === 0 ? Buffer.from(bytes) : Buffer.alloc(0) });
  }
  expect(maps / shipped).toBeLessThan(0.01);
  for (const { disk: point, bytes: content } of points.filter((_, at) => (at + 1) % 4 === 0))
    expect((await restoredDisk(repository, point)).equals(content)).toBe(true);
}, 60_000);

test("whatever sequence of changes is captured, each capture restores, and a scan of it changes nothing", async () => {
  const sizeBytes = 33 * MIB;
  const change = fc.tuple(fc.nat(sizeBytes / BLOCK_BYTES - 1), fc.nat(3));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(change, { maxLength: 4 }), { minLength: 2, maxLength: 5 }),
      async (steps) => {
        const bytes = testContent(sizeBytes, 5);
        const repository = newRepository();
        let { disk } = await capture(repository, bytes);
        for (const changes of steps) {
          for (const [block, what] of changes)
            bytes.fill(what, block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
          const blocks = changes.map(([block]) => block);
          disk = (await capture(repository, bytes, disk, blocks)).disk;
        }
        expect((await restoredDisk(repository, disk)).equals(bytes)).toBe(true);
        expect((await capture(repository, bytes, disk)).disk).toEqual(disk);
      },
    ),
    { numRuns: 4 },
  );
}, 60_000);

/** A map of one leaf in a repository of its own, whose nodes a compromised source wrote. */
function hostileMap(): {
  add: (bytes: Buffer) => BlobRef;
  read: (root: BlobRef) => Promise<unknown>;
  store: MemoryStore;
} {
  const repository = newRepository();
  const add = (bytes: Buffer): BlobRef => {
    const salt = randomBytes(16);
    const builder = new PackBuilder({
      ...{ kind: "map", dataKey: repository.dataKey, salt },
      origin: { captureId: Buffer.alloc(16), startedAt: 0, diskName: "sda" },
      ...{ buffer: Buffer.alloc(65_536), sealing: { scratch: Buffer.alloc(0) } },
    });
    const position = builder.addMapNode(bytes, 0, 0);
    const pack = builder.finish();
    repository.store.objects.set(packKey("s1", pack.name), Buffer.from(pack.bytes));
    return { pack: { name: pack.name, salt }, ...position };
  };
  const read = (root: BlobRef) =>
    new MapReader(repository, { sizeBytes: MIB, root: toMapRoot(root) }).leaf(0);
  return { add, read, store: repository.store };
}

const emptyLeaf = (index: number) =>
  encodeLeaf({ index, blocks: new Array(FAN_OUT).fill(undefined), badRanges: [{ offset: 0, bytes: 512 }] });
const patchOf = (base: BlobRef) => encodePatch({ level: 0, index: 0, base, slots: new Map(), badRanges: [] });

test("a patch of a whole leaf is read; one of a patch, of another leaf or of no leaf is damage", async () => {
  const { add, read, store } = hostileMap();
  const whole = add(emptyLeaf(0));
  expect(await read(add(patchOf(whole)))).toMatchObject({ leaf: { badRanges: [] }, base: { ref: whole } });
  await expect(read(add(patchOf(add(patchOf(whole)))))).rejects.toThrow(DamagedObjectError);
  await expect(read(add(patchOf(add(emptyLeaf(1)))))).rejects.toThrow("another part of the disk");
  await expect(read(add(patchOf({ ...whole, sealedBytes: 30 })))).rejects.toThrow(DamagedObjectError);
  const patch = add(patchOf(whole));
  store.objects.delete(packKey("s1", whole.pack.name));
  await expect(read(patch)).rejects.toThrow("it is missing");
});
