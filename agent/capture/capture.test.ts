import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { Progress } from "#shared/protocol/common.ts";
import { openDisk } from "../disk/disk-source.ts";
import { DiskShrankError, TooManyReadErrorsError } from "../disk/resilient-reader.ts";
import { changeContent, TestDisk, testContent } from "../disk/testing/test-disk.ts";
import { ProgressMeter } from "../progress/progress-meter.ts";
import { restoredDisk } from "../restore/testing/restored-disk.ts";
import { verifyDisk } from "../restore/verify.ts";
import { type PutOptions, StoreRefusedError } from "../store/object-store.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { captureDisk } from "./capture.ts";
import type { CaptureOptions } from "./capture-options.ts";

const MIB = 1024 * 1024;
const folder = await mkdtemp(join(tmpdir(), "capture-"));
afterAll(() => rm(folder, { recursive: true }));

const newRepository = () => ({ sourceId: "s1", store: new MemoryStore(), dataKey: Buffer.alloc(32, 7) });
type TestRepository = ReturnType<typeof newRepository>;
const settings = { packBytes: 4 * MIB, knownBlocks: 4096 };

function capture(repository: TestRepository, content: Buffer | TestDisk, more: Partial<CaptureOptions> = {}) {
  const disk = content instanceof TestDisk ? content : new TestDisk(content);
  return captureDisk({
    repository,
    disk,
    diskName: "sda",
    now: () => 0,
    random: Math.random,
    settings,
    ...more,
  });
}

const readerOf = (bytes: Buffer) => ({
  sizeBytes: bytes.length,
  read: async (at: number, length: number) => bytes.subarray(at, at + length),
});

const storedBytes = ({ store }: TestRepository) =>
  [...store.objects.values()].reduce((sum, each) => sum + each.length, 0);

test("a disk is restored byte for byte, whatever its size", async () => {
  for (const sizeBytes of [512, 65_536, 65_537, 16 * MIB, 35 * MIB + 12_345]) {
    const repository = newRepository();
    const content = testContent(sizeBytes, 3);
    content.write("end", sizeBytes - 3);
    const { disk } = await capture(repository, content);
    expect((await restoredDisk(repository, disk)).equals(content)).toBe(true);
    expect(await verifyDisk({ repository, disk, reader: readerOf(content) })).toBe(sizeBytes);
  }
});

test("an image file is read exactly once", async () => {
  const content = testContent(20 * MIB + 700, 5);
  const path = join(folder, "image");
  await writeFile(path, content);
  const disk = await openDisk(path);
  const repository = newRepository();
  const { disk: captured, statistics } = await captureDisk({
    repository,
    disk,
    diskName: "sda",
    now: () => 0,
    random: Math.random,
    settings,
  });
  await disk.close();
  expect(statistics.bytesRead).toBe(content.length);
  expect((await restoredDisk(repository, captured)).equals(content)).toBe(true);
});

test("a disk of zeros stores nothing", async () => {
  const repository = newRepository();
  const { disk } = await capture(repository, Buffer.alloc(40 * MIB));
  expect(disk.root).toBeNull();
  expect(repository.store.objects.size).toBe(0);
  expect((await restoredDisk(repository, disk)).equals(Buffer.alloc(40 * MIB))).toBe(true);
});

test("unused parts are not read, and are restored as zeros", async () => {
  const content = testContent(20 * MIB, 9).fill("x", 0, 3 * MIB);
  const test = new TestDisk(content);
  const repository = newRepository();
  const used = new BlockSet(content.length, BLOCK_BYTES);
  used.add(65_536 * 2 + 100, 200);
  used.add(2 * MIB, MIB);
  const { disk } = await capture(repository, test, { used });
  expect(test.bytesRead).toBe(65_536 + MIB);
  const expected = Buffer.alloc(content.length);
  for (const [from, to] of [
    [2 * 65_536, 3 * 65_536],
    [2 * MIB, 3 * MIB],
  ])
    content.copy(expected, from, from, to);
  expect((await restoredDisk(repository, disk)).equals(expected)).toBe(true);
});

test("used blocks of a disk of another size are ignored: everything is read", async () => {
  const content = testContent(20 * MIB, 9);
  const test = new TestDisk(content);
  await capture(newRepository(), test, { used: new BlockSet(19 * MIB, BLOCK_BYTES) });
  expect(test.bytesRead).toBe(20 * MIB);
});

test("a delta stores what changed, and does not change the parent point", async () => {
  const repository = newRepository();
  const first = testContent(80 * MIB, 11);
  const { disk: before } = await capture(repository, first);
  const baseline = storedBytes(repository);
  const second = changeContent(first, [5000, 17 * MIB, 17 * MIB + 70_000, 79 * MIB]);
  // A part that becomes zeros, and one that moves.
  second.fill(0, 20 * MIB, 22 * MIB);
  first.copy(second, 40 * MIB, 30 * MIB, 31 * MIB);
  const { disk: after } = await capture(repository, second, { previous: before });
  expect(storedBytes(repository) - baseline).toBeLessThan(MIB);
  expect((await restoredDisk(repository, after)).equals(second)).toBe(true);
  expect((await restoredDisk(repository, before)).equals(first)).toBe(true);
  const unchanged = await capture(repository, second, { previous: after });
  expect(unchanged.disk).toEqual(after);
  expect(unchanged.statistics.bytesStored).toBe(0);
});

test("equal blocks are stored once", async () => {
  const repository = newRepository();
  const noise = testContent(MIB, 2);
  for (let at = 0; at < MIB; at += 4) noise.writeInt32LE(Math.imul(at, 2654435761) ^ (at << 13), at);
  const content = Buffer.concat(Array.from({ length: 30 }, () => noise));
  const { disk } = await capture(repository, content, { settings: { ...settings, workers: 1 } });
  expect(storedBytes(repository)).toBeLessThan(1.5 * MIB);
  expect((await restoredDisk(repository, disk)).equals(content)).toBe(true);
});

test("what cannot be read is recorded as bad ranges, sector by sector, never as silent zeros", async () => {
  const content = testContent(20 * MIB, 21).fill("full", 0, 2 * MIB);
  const test = new TestDisk(content);
  for (const sector of [100, 101, 4000]) test.badSectors.add(sector);
  const repository = newRepository();
  const { disk } = await capture(repository, test);
  expect(disk).toMatchObject({ badRanges: 2, badBytes: 3 * 512 });
  const expected = Buffer.from(content)
    .fill(0, 100 * 512, 102 * 512)
    .fill(0, 4000 * 512, 4001 * 512);
  expect((await restoredDisk(repository, disk)).equals(expected)).toBe(true);
  // The sector can be read again: the next point has its data and no bad range.
  test.badSectors.clear();
  const { disk: healed } = await capture(repository, test, { previous: disk });
  expect(healed.badRanges).toBe(0);
  expect((await restoredDisk(repository, healed)).equals(content)).toBe(true);
});

test("a bad range in a part that is otherwise zeros is still recorded", async () => {
  const test = new TestDisk(Buffer.alloc(20 * MIB));
  test.badSectors.add(35_000);
  const { disk } = await capture(newRepository(), test);
  expect(disk).toMatchObject({ badRanges: 1, badBytes: 512, usedBytes: 0 });
  expect(disk.root).not.toBeNull();
});

test("too many bad bytes fail the capture", async () => {
  const test = new TestDisk(testContent(4 * MIB, 1));
  for (let sector = 0; sector < 100; sector++) test.badSectors.add(sector);
  const failing = capture(newRepository(), test, { settings: { ...settings, maxBadBytes: 10_000 } });
  await expect(failing).rejects.toThrow(TooManyReadErrorsError);
});

test("a disk that shrinks during the capture fails it", async () => {
  const test = new TestDisk(testContent(20 * MIB, 1));
  test.onRead = (offset) => {
    if (offset > 10 * MIB) test.bytes = test.bytes.subarray(0, 15 * MIB);
  };
  await expect(capture(newRepository(), test)).rejects.toThrow(DiskShrankError);
});

test("if the store refuses, the capture fails with the store's error", async () => {
  class Refusing extends MemoryStore {
    override async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
      if (this.objects.size >= 1) throw new StoreRefusedError("AccessDenied", "no");
      return super.put(key, bytes, options);
    }
  }
  const repository = { ...newRepository(), store: new Refusing() };
  await expect(capture(repository, testContent(40 * MIB, 31))).rejects.toThrow(StoreRefusedError);
});

test("a cancelled capture stops at once, even while its uploads hang", async () => {
  class Hanging extends MemoryStore {
    override put(): Promise<void> {
      cancel.abort(new Error("cancelled by the operator"));
      return new Promise(() => {});
    }
  }
  const cancel = new AbortController();
  const repository = { ...newRepository(), store: new Hanging() };
  const failing = capture(repository, testContent(60 * MIB, 31), { signal: cancel.signal });
  await expect(failing).rejects.toThrow("cancelled by the operator");
});

test("progress reaches the whole and names a stage", async () => {
  const reports: Progress[] = [];
  const meter = new ProgressMeter((report) => reports.push(report));
  await capture(newRepository(), testContent(40 * MIB, 41), { meter });
  const last = reports.at(-1);
  expect(last).toMatchObject({ bytesDone: 40 * MIB, bytesTotal: 40 * MIB });
  expect(["read", "compress", "upload"]).toContain(last?.bottleneck);
});

test("verification of a disk that differs everywhere names its first blocks and counts the others", async () => {
  const repository = newRepository();
  const content = Buffer.alloc(4 * MIB, 1);
  const { disk } = await capture(repository, content);
  const verifying = verifyDisk({ repository, disk, reader: readerOf(Buffer.alloc(4 * MIB, 2)) });
  await expect(verifying).rejects.toMatchObject({
    message: "64 blocks differ, the first at byte 0",
    offsets: Array.from({ length: 16 }, (_, index) => index * 65_536),
  });
});

test("verification finds a changed byte, and a block that should be zeros", async () => {
  const repository = newRepository();
  const content = testContent(20 * MIB, 51).fill(0, 18 * MIB);
  const { disk } = await capture(repository, content);
  for (const at of [4 * MIB + 7, 19 * MIB]) {
    const wrong = Buffer.from(content);
    wrong.writeUInt8(wrong.readUInt8(at) ^ 1, at);
    const verifying = verifyDisk({ repository, disk, reader: readerOf(wrong) });
    await expect(verifying).rejects.toMatchObject({
      name: "DiskMismatchError",
      offsets: [Math.floor(at / 65_536) * 65_536],
    });
  }
});
