/** qcow2 images with any values in header and tables. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openDiskImage } from "./disk-image.ts";
import { CLUSTER_BITS, encodeHeader } from "./qcow2-format.ts";

const SMALL_CLUSTER_BITS = 9;
const FILE_BYTES = 8192;

const number = fc.oneof(
  fc.nat(FILE_BYTES),
  fc.constantFrom(0, 512, 1024, 4096, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1, 2 ** 56),
  fc.maxSafeInteger().map(Math.abs),
);
const entry = fc.oneof(
  fc.constantFrom(0n, 1n, 512n, 1024n, (1n << 63n) | 1024n, (1n << 62n) | 512n, (1n << 64n) - 1n, 1n << 55n),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);
const image = fc.record({
  sizeBytes: number,
  clusterBits: fc.oneof(fc.constantFrom(SMALL_CLUSTER_BITS, CLUSTER_BITS, 21), fc.nat(40)),
  l1Entries: fc.oneof(fc.nat(64), fc.constantFrom(2 ** 22, 2 ** 32 - 1)),
  l1Offset: number,
  referenceTableOffset: number,
  referenceTableClusters: fc.nat(2 ** 32 - 1),
  entries: fc.array(entry, { maxLength: 200 }),
  offset: fc.double({ min: 0, max: 1, noNaN: true }),
  bytes: fc.nat(100_000),
});

test("whatever header and tables say, a read returns the requested bytes or throws a typed error", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hostile-qcow2-"));
  const path = join(folder, "disk.qcow2");
  const property = fc.asyncProperty(image, async ({ entries, offset, bytes, ...header }) => {
    const file = Buffer.alloc(FILE_BYTES);
    encodeHeader(header).copy(file);
    // L1 and L2 tables alike, from the second cluster on.
    for (const [at, value] of entries.entries()) file.writeBigUInt64BE(value, 512 + 8 * at);
    await writeFile(path, file);
    try {
      const reader = await openDiskImage(path, "qcow2");
      try {
        const from = Math.floor(offset * reader.sizeBytes);
        const length = Math.min(bytes, reader.sizeBytes - from);
        expect((await reader.read(from, length)).length).toBe(length);
      } finally {
        await reader.close();
      }
    } catch (error) {
      expect(error).toMatchObject({ name: "ImageUnreadableError" });
    }
  });
  try {
    await fc.assert(property, { numRuns: 500 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
