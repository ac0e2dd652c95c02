/** Captures that know which blocks may have changed. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES, isZero } from "#shared/format/block.ts";
import { TestDisk, testContent } from "../disk/testing/test-disk.ts";
import { MapReader } from "../repository/map-reader.ts";
import { restoredDisk } from "../restore/testing/restored-disk.ts";
import { StoreRefusedError } from "../store/object-store.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { captureDisk } from "./capture.ts";
import type { CaptureOptions } from "./capture-options.ts";
import { FileJournal } from "./journal.ts";
import { checkSample, chooseSample } from "./sample-check.ts";
import { seededRandom } from "./testing/seeded-random.ts";

const MIB = 1024 * 1024;
const LEAF_BYTES = 16 * MIB;
const folder = await mkdtemp(join(tmpdir(), "changed-blocks-"));
afterAll(() => rm(folder, { recursive: true }));

class CountingStore extends MemoryStore {
  requests: string[] = [];
  override async get(...args: Parameters<MemoryStore["get"]>): Promise<Buffer> {
    this.requests.push(args[0]);
    return super.get(...args);
  }
}

const newRepository = () => ({ sourceId: "s1", store: new CountingStore(), dataKey: Buffer.alloc(32, 7) });
type TestRepository = ReturnType<typeof newRepository>;
const small = { packBytes: 2 * MIB, knownBlocks: 1024, mapPackBytes: 128 * 1024 };
const unsampled = { ...small, sample: { fraction: 0, maxBytes: 0 } };

function capture(repository: TestRepository, disk: Buffer | TestDisk, more: Partial<CaptureOptions> = {}) {
  return captureDisk({
    ...{ repository, disk: disk instanceof TestDisk ? disk : new TestDisk(disk), diskName: "sda" },
    ...{ now: () => 0, random: seededRandom(1), settings: unsampled, ...more },
  });
}

function blocksAt(sizeBytes: number, blocks: Iterable<number>): BlockSet {
  const set = new BlockSet(sizeBytes, BLOCK_BYTES);
  for (const block of blocks) {
    const offset = block * BLOCK_BYTES;
    set.add(offset, Math.min(BLOCK_BYTES, sizeBytes - offset));
  }
  return set;
}

/** Fills the block: with zeros for 0, with a copy of block 0 for 1, otherwise with something of its own. */
function write(bytes: Buffer, block: number, what: number): void {
  const part = bytes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
  if (what === 0) part.fill(0);
  else if (what === 1) bytes.copy(part, 0, 0, part.length);
  else part.fill(`block ${block} now says ${what}. `);
}

/** What a capture must say of a disk, counted from its bytes. */
function countBlocks(bytes: Buffer, isCounted: (block: Buffer, offset: number) => boolean): number {
  let counted = 0;
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES)
    if (isCounted(bytes.subarray(at, at + BLOCK_BYTES), at)) counted += BLOCK_BYTES;
  return counted;
}
const usedBytesOf = (bytes: Buffer) => countBlocks(bytes, (block) => !isZero(block));
const changedBytesBetween = (before: Buffer, after: Buffer) =>
  countBlocks(after, (block, at) => !block.equals(before.subarray(at, at + BLOCK_BYTES)));

test("whatever changes, a capture of the blocks that may have changed equals one of the whole disk", async () => {
  const sizeBytes = LEAF_BYTES + 5 * BLOCK_BYTES + 700;
  const before = testContent(sizeBytes, 5).fill(0, 10 * MIB, 14 * MIB);
  const repository = newRepository();
  const { disk: parent } = await capture(repository, before);
  const block = fc.nat(Math.ceil(sizeBytes / BLOCK_BYTES) - 1);
  const writes = fc.array(fc.tuple(block, fc.nat(3)), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(writes, fc.array(block, { maxLength: 12 }), async (changes, untouched) => {
      const after = Buffer.from(before);
      for (const [at, what] of changes) write(after, at, what);
      const changed = blocksAt(sizeBytes, [...changes.map(([at]) => at), ...untouched]);
      const test = new TestDisk(after);
      const { disk, statistics } = await capture(repository, test, { previous: parent, changed });
      expect((await restoredDisk(repository, disk)).equals(after)).toBe(true);
      expect(disk.usedBytes).toBe(usedBytesOf(after));
      expect(statistics).toMatchObject({
        basis: "tracked",
        changedBytes: changedBytesBetween(before, after),
        bytesRead: changed.bytesWithin(0, sizeBytes),
      });
      expect(test.bytesRead).toBe(statistics.bytesRead);
    }),
    { numRuns: 8 },
  );
}, 30_000);

test("only the parts of the map above changed blocks are read, whatever the size of the disk", async () => {
  const sizeBytes = 70 * 1024 * MIB;
  const content = Buffer.alloc(3 * BLOCK_BYTES, "data");
  /** Mostly zeros, with three blocks far apart. */
  const sparse = new (class extends TestDisk {
    override readonly sizeBytes = sizeBytes;
    override async read(offset: number, into: Buffer): Promise<number> {
      const at = [0, 20, 60].findIndex(
        (gib) => Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES === gib * 1024 * MIB,
      );
      into.fill(0);
      if (at >= 0) this.bytes.copy(into, 0, at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
      this.bytesRead += into.length;
      return into.length;
    }
    override async currentSizeBytes(): Promise<number> {
      return sizeBytes;
    }
  })(content);
  const places = [0, 20, 60].map((gib) => (gib * 1024 * MIB) / BLOCK_BYTES);
  const repository = newRepository();
  const { disk: previous } = await capture(repository, sparse, { used: blocksAt(sizeBytes, places) });
  repository.store.requests = [];
  sparse.bytes = Buffer.from(content).fill("new", BLOCK_BYTES, 2 * BLOCK_BYTES);
  sparse.bytesRead = 0;
  const changed = blocksAt(sizeBytes, places.slice(1, 2));
  const { disk, statistics } = await capture(repository, sparse, { previous, changed });
  expect(sparse.bytesRead).toBe(BLOCK_BYTES);
  // The top, the node above the leaf, and the leaf.
  expect(repository.store.requests).toHaveLength(3);
  expect(statistics).toMatchObject({ changedBytes: BLOCK_BYTES, packsStored: expect.any(Number) });
  expect(disk).toMatchObject({ usedBytes: 3 * BLOCK_BYTES });
  const nothing = await capture(repository, sparse, { previous: disk, changed: blocksAt(sizeBytes, []) });
  expect(nothing.disk).toEqual(disk);
  expect(nothing.statistics).toMatchObject({ bytesRead: 0, bytesStored: 0, changedBytes: 0 });
});

/** The number of threads that this process has started, this function's own included. */
async function threadsStarted(): Promise<number> {
  const thread = new Worker("", { eval: true });
  const number = thread.threadId;
  await thread.terminate();
  return number;
}

test("a capture of few blocks starts no thread, and one of more does", async () => {
  const before = testContent(64 * BLOCK_BYTES, 13).fill("data", 0, 52 * BLOCK_BYTES);
  const repository = newRepository();
  const { disk: previous } = await capture(repository, before);
  const captureOf = async (blocks: number) => {
    const after = Buffer.from(before);
    for (let block = 0; block < blocks; block++) write(after, block, 2);
    const changed = blocksAt(
      before.length,
      Array.from({ length: blocks }, (_, block) => block),
    );
    const threads = await threadsStarted();
    const { disk, statistics } = await capture(repository, after, { previous, changed });
    const started = (await threadsStarted()) - threads - 1;
    expect((await restoredDisk(repository, disk)).equals(after)).toBe(true);
    expect(statistics).toMatchObject({ changedBytes: blocks * BLOCK_BYTES, bytesRead: blocks * BLOCK_BYTES });
    return started;
  };
  expect([await captureOf(0), await captureOf(3), await captureOf(48)]).toEqual([0, 0, 0]);
  expect(await captureOf(49)).toBe(2);
});

test("an error of a capture of few blocks is reported, and the next attempt succeeds", async () => {
  const before = testContent(4 * MIB, 3);
  const repository = newRepository();
  const { disk: previous } = await capture(repository, before);
  const after = Buffer.from(before);
  write(after, 7, 2);
  const changed = blocksAt(before.length, [7]);
  const put = repository.store.put.bind(repository.store);
  repository.store.put = async () => {
    throw new StoreRefusedError("AccessDenied", "no");
  };
  await expect(capture(repository, after, { previous, changed })).rejects.toThrow(StoreRefusedError);
  repository.store.put = put;
  const stop = AbortSignal.abort(new Error("cancelled"));
  await expect(capture(repository, after, { previous, changed, signal: stop })).rejects.toThrow("cancelled");
  const { disk } = await capture(repository, after, { previous, changed });
  expect((await restoredDisk(repository, disk)).equals(after)).toBe(true);
});

test("what could not be read before stays recorded, and is read again with a changed block near it", async () => {
  const content = testContent(3 * LEAF_BYTES, 7);
  const disk = new TestDisk(content);
  disk.badSectors.add(40).add((2 * LEAF_BYTES) / 512 + 9);
  const repository = newRepository();
  const { disk: parent } = await capture(repository, disk);
  expect(parent).toMatchObject({ badRanges: 2, badBytes: 1024 });
  disk.badSectors.clear();
  const changed = blocksAt(content.length, [100]);
  const { disk: next } = await capture(repository, disk, { previous: parent, changed });
  expect(next).toMatchObject({ badRanges: 1, badBytes: 512 });
  const expected = Buffer.from(content).fill(0, 2 * LEAF_BYTES + 9 * 512, 2 * LEAF_BYTES + 10 * 512);
  expect((await restoredDisk(repository, next)).equals(expected)).toBe(true);
});

test("what could not be read before stays recorded if a changed block near it comes from a source that has only that", async () => {
  const content = testContent(2 * LEAF_BYTES, 7);
  const disk = new TestDisk(content);
  // Of three blocks, the middle one of which changes.
  const bad = [3 * 128 - 1, 3 * 128, 4 * 128 - 1, 4 * 128];
  for (const sector of bad) disk.badSectors.add(sector);
  const repository = newRepository();
  const { disk: previous } = await capture(repository, disk);
  expect(previous).toMatchObject({ badBytes: 4 * 512 });
  const after = Buffer.from(content);
  write(after, 3, 9);
  const memory = new TestDisk(after);
  memory.onRead = (offset, bytes) => {
    if (offset !== 3 * BLOCK_BYTES || bytes > BLOCK_BYTES) throw new RangeError("not in memory");
  };
  const changed = blocksAt(content.length, [3]);
  const { disk: next } = await capture(repository, memory, { previous, changed, isPartial: true });
  expect(next).toMatchObject({ badRanges: 2, badBytes: 2 * 512, sizeBytes: content.length });
  const expected = after
    .fill(0, (3 * 128 - 1) * 512, 3 * 128 * 512)
    .fill(0, 4 * 128 * 512, (4 * 128 + 1) * 512);
  expect((await restoredDisk(repository, next)).equals(expected)).toBe(true);
});

test("a change outside of the blocks that may have changed is found by the sample, as often as it predicts", async () => {
  const sizeBytes = 8 * MIB;
  const before = testContent(sizeBytes, 11);
  const repository = newRepository();
  const { disk: previous } = await capture(repository, before);
  const after = Buffer.from(before);
  write(after, 50, 2);
  write(after, 90, 3);
  const changed = blocksAt(sizeBytes, [90]);
  const [runs, fraction] = [200, 0.25];
  const random = seededRandom(42);
  let found = 0;
  for (let run = 0; run < runs; run++) {
    const { differing } = await checkSample({
      claim: { sizeBytes, used: BlockSet.all(sizeBytes, BLOCK_BYTES), changed },
      disk: new TestDisk(after),
      parent: new MapReader(repository, previous),
      dataKey: repository.dataKey,
      settings: { fraction, maxBytes: sizeBytes, maxBadBytes: MIB },
      random,
    });
    found += differing.length;
  }
  // Within three standard deviations.
  expect(Math.abs(found - runs * fraction)).toBeLessThan(3 * Math.sqrt(runs * fraction * (1 - fraction)));
  const all = { ...small, sample: { fraction: 1, maxBytes: sizeBytes } };
  const { disk, statistics } = await capture(repository, after, { previous, changed, settings: all });
  expect((await restoredDisk(repository, disk)).equals(after)).toBe(true);
  expect(statistics).toMatchObject({
    basis: "scan",
    sample: { blocks: 127, differing: [expect.any(Number)] },
  });
});

test("an attempt that found a disagreement is continued as a scan, even if the next sample would miss it", async () => {
  const sizeBytes = 8 * MIB;
  const before = testContent(sizeBytes, 11);
  const repository = newRepository();
  const { disk: previous } = await capture(repository, before);
  const after = Buffer.from(before);
  write(after, 50, 2);
  const journal = new FileJournal(join(folder, "distrusted"));
  const claim = { previous, changed: blocksAt(sizeBytes, []), journal };
  const all = { ...small, sample: { fraction: 1, maxBytes: sizeBytes } };
  const put = repository.store.put.bind(repository.store);
  repository.store.put = async () => {
    throw new StoreRefusedError("AccessDenied", "no");
  };
  await expect(capture(repository, after, { ...claim, settings: all })).rejects.toThrow(StoreRefusedError);
  repository.store.put = put;
  const { disk, statistics } = await capture(repository, after, claim);
  expect(statistics.basis).toBe("scan");
  expect((await restoredDisk(repository, disk)).equals(after)).toBe(true);
});

test("the sample has each unchanged used block with the same chance, and never more bytes than its budget", () => {
  const sizeBytes = 400 * BLOCK_BYTES;
  const used = blocksAt(
    sizeBytes,
    Array.from({ length: 300 }, (_, at) => at),
  );
  const changed = blocksAt(sizeBytes, [3, 4, 5]);
  const random = seededRandom(7);
  const choose = (fraction: number, maxBytes: number) =>
    chooseSample({ sizeBytes, used, changed }, { fraction, maxBytes }, random);
  const counts = new Array<number>(400).fill(0);
  for (let run = 0; run < 2000; run++)
    for (const block of choose(0.1, sizeBytes)) counts[block] = (counts[block] ?? 0) + 1;
  counts.forEach((count, block) => {
    if (block >= 300 || (block >= 3 && block <= 5)) expect(count).toBe(0);
    else expect(Math.abs(count - 200)).toBeLessThan(5 * Math.sqrt(2000 * 0.1 * 0.9));
  });
  for (let run = 0; run < 200; run++) expect(choose(0.5, 10 * BLOCK_BYTES).length).toBeLessThanOrEqual(10);
  expect(choose(1, sizeBytes)).toHaveLength(297);
  expect(choose(0, sizeBytes)).toEqual([]);
});

test("blocks that may have changed are ignored for a disk of another size: everything is read", async () => {
  const repository = newRepository();
  const { disk: previous } = await capture(repository, testContent(4 * MIB, 3));
  const grown = new TestDisk(testContent(5 * MIB, 4));
  const { disk, statistics } = await capture(repository, grown, { previous, changed: blocksAt(4 * MIB, []) });
  expect(statistics).toMatchObject({ basis: "scan", bytesRead: 5 * MIB });
  expect((await restoredDisk(repository, disk)).equals(grown.bytes)).toBe(true);
});

test("blocks that are free now and may have changed become zeros", async () => {
  const content = testContent(4 * MIB, 3).fill("data", 0, 4 * MIB);
  const repository = newRepository();
  const { disk: previous } = await capture(repository, content);
  const used = BlockSet.all(content.length, BLOCK_BYTES);
  const after = Buffer.from(content).fill(0, 10 * BLOCK_BYTES, 11 * BLOCK_BYTES);
  const usedNow = blocksAt(
    content.length,
    Array.from({ length: 64 }, (_, at) => at).filter((at) => at !== 10),
  );
  const changed = blocksAt(content.length, [10]);
  const { disk } = await capture(repository, new TestDisk(content), { previous, used: usedNow, changed });
  expect((await restoredDisk(repository, disk)).equals(after)).toBe(true);
  expect(disk.usedBytes).toBe(used.bytesWithin(0, content.length) - BLOCK_BYTES);
});
