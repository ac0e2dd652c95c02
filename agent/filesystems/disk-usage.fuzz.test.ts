import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { subtract, totalBytes } from "#shared/domain/extents.ts";
import type { DiskReader } from "../disk/reader.ts";
import { createFiles, createJunkImage, inScratch, MIB, tool } from "./testing/test-image.ts";
import { usageOf } from "./testing/usage-of.ts";

/** Reads a small image with some bytes changed. */
class DamagedDisk implements DiskReader {
  readonly sizeBytes: number;
  readonly #bytes: Buffer;
  readonly #damage: [number, number][];
  #reads = 0;

  constructor(bytes: Buffer, damage: [number, number][]) {
    this.sizeBytes = bytes.length;
    this.#bytes = bytes;
    this.#damage = damage;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < 0 || offset + length > this.sizeBytes) throw new RangeError("read beyond the disk");
    // Far more than any of these images needs: a loop.
    if (++this.#reads > 20_000) throw new Error("the disk is read again and again");
    const bytes = Buffer.from(this.#bytes.subarray(offset, offset + length));
    for (const [position, value] of this.#damage) {
      if (position >= offset && position < offset + length) bytes[position - offset] = value;
    }
    return bytes;
  }
}

interface Sample {
  bytes: Buffer;
  /** Where the metadata is, which is worth damaging. */
  places: [number, number][];
}

async function makeSample(folder: string, kind: string): Promise<Sample> {
  const image = join(folder, kind);
  const sizeMiB = 16;
  await createJunkImage(image, sizeMiB * MIB);
  if (kind === "ext4") {
    await createFiles(join(folder, "files"), 20);
    tool(
      "mke2fs",
      "-q",
      "-F",
      "-b",
      "1024",
      "-g",
      "1024",
      "-E",
      "nodiscard",
      "-d",
      join(folder, "files"),
      image,
    );
    return {
      bytes: await readFile(image),
      places: [
        [1024, 2048],
        [2048, 3072],
      ],
    };
  }
  if (kind === "ntfs") {
    tool("mkfs.ntfs", "-F", "-Q", "-q", image);
    const bytes = await readFile(image);
    const table = Number(bytes.readBigUInt64LE(0x30)) * 4096;
    return {
      bytes,
      places: [
        [0, 512],
        [table, table + 8 * 1024],
      ],
    };
  }
  tool("sgdisk", "--clear", "--new=1:2048:+4M", "--new=2:12288:+4M", image);
  return {
    bytes: await readFile(image),
    places: [
      [440, 512],
      [512, 604],
      [1024, 1280],
    ],
  };
}

test.each(["ext4", "ntfs", "gpt"])(
  "damaged metadata of %s ends in extents within the disk, never in a crash or a hang",
  async (kind) => {
    await inScratch(async (folder) => {
      const { bytes, places } = await makeSample(folder, kind);
      const before = await usageOf(new DamagedDisk(bytes, []));
      const position = fc.oneof(...places.map(([min, max]) => fc.integer({ min, max: max - 1 })));
      const damage = fc.array(fc.tuple(position, fc.integer({ min: 0, max: 255 })), {
        minLength: 1,
        maxLength: 6,
      });
      const property = fc.asyncProperty(damage, async (changes) => {
        const after = await usageOf(new DamagedDisk(bytes, changes));
        for (const { offset, length } of after.used)
          expect(offset + length).toBeLessThanOrEqual(bytes.length);
        expect(after.volumes.some((volume) => volume.reason?.includes("again and again"))).toBe(false);
        // Without checksums, damage cannot always be detected; the metadata itself must always count as used.
        const lost = subtract(before.used, after.used);
        if (kind === "gpt") expect(totalBytes(lost)).toBe(0);
      });
      await fc.assert(property, { numRuns: 300 });
    });
  },
  60_000,
);

test("random bytes count as fully used, at any size", async () => {
  const property = fc.asyncProperty(fc.uint8Array({ maxLength: 70_000 }), async (noise) => {
    const usage = await usageOf(new DamagedDisk(Buffer.from(noise), []));
    expect(totalBytes(usage.used)).toBe(noise.length);
  });
  await fc.assert(property, { numRuns: 50 });
});
