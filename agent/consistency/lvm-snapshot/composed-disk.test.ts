import fc from "fast-check";
import { expect, test } from "vitest";
import type { DiskSource } from "../../disk/disk-source.ts";
import { readerOf } from "../../filesystems/source-reader.ts";
import { ComposedDisk, type Piece } from "./composed-disk.ts";

const SECTOR = 512;

/** Refuses what a device would: reads that are not in whole sectors. */
function memoryDisk(bytes: Buffer): DiskSource {
  return {
    ...{ sizeBytes: bytes.length, sectorBytes: SECTOR },
    read: async (offset, into) => {
      if (offset % SECTOR !== 0 || into.length % SECTOR !== 0) throw new RangeError("not in whole sectors");
      return bytes.copy(into, 0, offset);
    },
    currentSizeBytes: async () => bytes.length,
    close: async () => {},
  };
}

const sectors = (count: number, seed: number) =>
  Buffer.from(Array.from({ length: count * SECTOR }, (_, at) => (at * 31 + seed) % 251));
const noCause = async () => {};

/** The lengths in sectors of parts of a disk in order, and where each is read. */
const parts = fc.array(
  fc.record({ length: fc.integer({ min: 1, max: 9 }), from: fc.constantFrom("disk", "memory", "snapshot") }),
  { minLength: 1, maxLength: 12 },
);

test("every byte comes from where its part is, however the disk is read", async () => {
  await fc.assert(
    fc.asyncProperty(parts, fc.nat(), fc.integer({ min: 1, max: 40 }), async (list, seed, step) => {
      const total = list.reduce((sum, { length }) => sum + length, 0);
      const [own, snapshot] = [sectors(total, seed % 200), sectors(total, (seed % 200) + 7)];
      const expected = Buffer.from(own);
      const pieces: Piece[] = [];
      let at = 0;
      for (const { length, from } of list) {
        const [offset, bytes] = [at * SECTOR, length * SECTOR];
        at += length;
        if (from === "disk") continue;
        // Elsewhere than on the disk, as with logical volumes.
        const elsewhere = (total - at) * SECTOR;
        const content = snapshot.subarray(elsewhere, elsewhere + bytes);
        content.copy(expected, offset);
        const source = { source: memoryDisk(snapshot), offset: elsewhere };
        pieces.push({ offset, length: bytes, from: from === "memory" ? Buffer.from(content) : source });
      }
      const disk = new ComposedDisk(memoryDisk(own), pieces, noCause);
      const into = Buffer.alloc(step * SECTOR);
      const read: Buffer[] = [];
      for (let offset = 0; offset < disk.sizeBytes; offset += into.length) {
        const count = await disk.read(offset, into);
        expect(count).toBe(Math.min(into.length, disk.sizeBytes - offset));
        read.push(Buffer.from(into.subarray(0, count)));
      }
      expect(Buffer.concat(read).equals(expected)).toBe(true);
      expect(await disk.read(disk.sizeBytes, into)).toBe(0);
      const [from, length] = [seed % (total * SECTOR), step * 7];
      const reader = readerOf(disk);
      const some = await reader.read(from, Math.min(length, total * SECTOR - from));
      expect(expected.subarray(from, from + length).equals(some)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("bytes that are read at the same time do not mix", async () => {
  const own = sectors(64, 3);
  const reader = readerOf(memoryDisk(own));
  const offsets = [5, 513, 20_000, 1, 4096];
  const read = await Promise.all(offsets.map((offset) => reader.read(offset, 3000)));
  for (const [at, offset] of offsets.entries())
    expect(own.subarray(offset, offset + 3000).equals(read[at] ?? Buffer.alloc(0))).toBe(true);
});

test("if a snapshot cannot be read, its own failure is thrown, not a read error of the disk", async () => {
  const failing = { ...memoryDisk(sectors(8, 1)), read: () => Promise.reject(new Error("EIO")) };
  const pieces = [{ offset: SECTOR, length: SECTOR, from: { source: failing, offset: 0 } }];
  const cause = async () => {
    throw new Error("the snapshot filled up");
  };
  const full = new ComposedDisk(memoryDisk(sectors(8, 2)), pieces, cause);
  await expect(full.read(0, Buffer.alloc(8 * SECTOR))).rejects.toThrow("the snapshot filled up");
  const bad = new ComposedDisk(memoryDisk(sectors(8, 2)), pieces, noCause);
  await expect(bad.read(0, Buffer.alloc(8 * SECTOR))).rejects.toThrow("EIO");
});
