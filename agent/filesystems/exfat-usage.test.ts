import { appendFile, mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { totalBytes } from "#shared/domain/extents.ts";
import { markExfatUsed } from "./exfat-usage.ts";
import { Random } from "./testing/layouts/random.ts";
import { whileMounted } from "./testing/mounted-by-driver.ts";
import { copyExtents, createJunkImage, inScratch, isRoot, MIB, tool } from "./testing/test-image.ts";
import { markedIn } from "./testing/usage-of.ts";

const SIZE_BYTES = 48 * MIB;

async function makeImage(folder: string, ...options: string[]): Promise<string> {
  const image = join(folder, "image");
  await createJunkImage(image, SIZE_BYTES);
  tool("mkfs.exfat", ...options, image);
  return image;
}

const used = (image: string) => markedIn(image, markExfatUsed);

/** What the file system's own tool says of it. */
function report(image: string) {
  const text = tool("dump.exfat", image);
  const field = (name: string, base = 10) =>
    Number.parseInt(new RegExp(`^${name}[^:]*:\\s*(\\w+)`, "m").exec(text)?.[1] ?? "", base);
  const [heap, clusterBytes] = [field("Cluster Heap Offset") * 512, field("Cluster size")];
  return {
    ...{ heap, clusterBytes, clusters: field("Total Clusters"), free: field("Free Clusters") },
    table: field("FAT Offset") * 512,
    bitmap: heap + (field("Bitmap start cluster", 16) - 2) * clusterBytes,
    firstBitmapCluster: field("Bitmap start cluster", 16),
    root: heap + (field("Root Cluster") - 2) * clusterBytes,
  };
}

async function change(image: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await open(image, "r+");
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

test.each([
  ["clusters of 4 KiB", "4K"],
  ["clusters of 512 bytes", "512"],
  ["clusters of 128 KiB", "128K"],
])("the free clusters are those that dump.exfat counts: %s", async (_, size) => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder, "-c", size);
    const { heap, clusterBytes, clusters, bitmap } = report(image);
    // As if files had these clusters.
    const random = new Random(4711);
    const map = (await readFile(image)).subarray(bitmap, bitmap + Math.ceil(clusters / 8));
    const taken = Array.from({ length: 40 }, () => random.below(clusters));
    for (const cluster of taken)
      map.writeUInt8(map.readUInt8(cluster >> 3) | (1 << (cluster & 7)), cluster >> 3);
    await change(image, bitmap, map);
    const extents = await used(image);
    expect(SIZE_BYTES - totalBytes(extents)).toBe(report(image).free * clusterBytes);
    const isUsed = (offset: number) =>
      extents.some((extent) => offset >= extent.offset && offset < extent.offset + extent.length);
    for (const cluster of taken) expect(isUsed(heap + cluster * clusterBytes)).toBe(true);

    const restored = join(folder, "restored");
    await copyExtents(image, restored, extents);
    expect(report(restored)).toEqual(report(image));
    tool("fsck.exfat", "-n", restored);
  });
});

/** The driver takes devices only. */
async function withMount(image: string, run: (folder: string) => Promise<void>): Promise<void> {
  const device = tool("losetup", "--find", "--show", image).trim();
  try {
    await whileMounted(image, (folder) => ["mount.exfat-fuse", "-d", device, folder], run);
  } finally {
    tool("sh", "-c", `losetup --detach ${device} || ! losetup ${device}`);
  }
}

/** Folders in folders, long names, empty files, and two files whose clusters take turns. */
async function writeFiles(folder: string): Promise<void> {
  const deep = join(folder, "a folder", "with".repeat(40), "in it");
  await mkdir(deep, { recursive: true });
  for (let number = 0; number < 200; number++)
    await writeFile(
      join(deep, `file ${number} ${"x".repeat(number)}`),
      Buffer.alloc(number * 300, "content "),
    );
  for (let turn = 0; turn < 40; turn++)
    for (const name of ["first", "second"]) await appendFile(join(folder, name), Buffer.alloc(9000, name));
  await writeFile(join(folder, "gone"), Buffer.alloc(3 * MIB, "gone"));
  await rm(join(folder, "gone"));
  await writeFile(join(folder, "kept"), Buffer.alloc(5 * MIB, "kept"));
}

test.skipIf(!isRoot)("every file is whole in a copy of what is used", async () => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder);
    await withMount(image, writeFiles);
    const extents = await used(image);
    expect(SIZE_BYTES - totalBytes(extents)).toBe(report(image).free * report(image).clusterBytes);
    const restored = join(folder, "restored");
    await copyExtents(image, restored, extents);
    tool("fsck.exfat", "-n", restored);
    const sums = async (mounted: string) => {
      let found = "";
      await withMount(mounted, async (at) => {
        found = tool("sh", "-c", `cd ${at} && find . -type f -exec md5sum {} + | sort`);
      });
      return found;
    };
    const expected = await sums(image);
    expect(expected.split("\n").length).toBeGreaterThan(200);
    expect(await sums(restored)).toBe(expected);
  });
});

test.skipIf(!isRoot)(
  "it is in doubt if its map of used clusters calls one cluster of a file free",
  async () => {
    await inScratch(async (folder) => {
      const image = await makeImage(folder);
      await withMount(image, writeFiles);
      const { bitmap, clusters } = report(image);
      const map = (await readFile(image)).subarray(bitmap, bitmap + Math.ceil(clusters / 8));
      const random = new Random(4711);
      const set = Array.from({ length: clusters }, (_, cluster) => cluster).filter(
        (cluster) => ((map[cluster >> 3] ?? 0) >> (cluster & 7)) & 1,
      );
      for (let turn = 0; turn < 20; turn++) {
        const cluster = random.pick(set);
        const byte = map.readUInt8(cluster >> 3);
        await change(image, bitmap + (cluster >> 3), Uint8Array.of(byte & ~(1 << (cluster & 7))));
        await expect(used(image)).rejects.toThrow("calls content of files free");
        await change(image, bitmap + (cluster >> 3), Uint8Array.of(byte));
      }
      expect(totalBytes(await used(image))).toBeLessThan(SIZE_BYTES);
    });
  },
);

const dirty = async (image: string) => change(image, 106, Uint8Array.of(2));
const twoTables = async (image: string) => {
  await change(image, 110, Uint8Array.of(2));
};
const largerThanItsVolume = async (image: string) =>
  tool("truncate", "--size", String(SIZE_BYTES - MIB), image);
const otherBootCode = async (image: string) => change(image, 200, Uint8Array.of(7));
const withoutCopy = async (image: string) => change(image, 12 * 512, new Uint8Array(512));
const otherVersion = async (image: string) => change(image, 105, Uint8Array.of(2));
const inPieces = async (image: string) => {
  const { table, firstBitmapCluster } = report(image);
  await change(image, table + firstBitmapCluster * 4, Uint8Array.of(9, 0, 0, 0));
};
const rootInACircle = async (image: string) => {
  const { table, root, heap, clusterBytes } = report(image);
  const cluster = (root - heap) / clusterBytes + 2;
  const link = Buffer.alloc(4);
  link.writeUInt32LE(cluster);
  await change(image, table + cluster * 4, link);
};
const secondBitmap = async (image: string) => {
  const { root } = report(image);
  const entries = (await readFile(image)).subarray(root, root + 512);
  const [from, to] = [0x81, 0].map((type) => {
    for (let at = 0; at < entries.length; at += 32) if (entries[at] === type) return at;
    throw new RangeError(`no entry of type ${type}`);
  }) as [number, number];
  await change(image, root + to, entries.subarray(from, from + 32));
};
const ownMetadataFree = async (image: string) => change(image, report(image).bitmap, Uint8Array.of(0));

test.each([
  [dirty, "marked dirty"],
  [twoTables, "of a kind that was not tried"],
  [largerThanItsVolume, "larger than its volume"],
  [otherBootCode, "the checksum of its boot sector is wrong"],
  [withoutCopy, "the copy of its boot sector is missing"],
  [otherVersion, "its version is not known"],
  [inPieces, "more or fewer clusters than its length"],
  [rootInACircle, "a chain without an end"],
  [secondBitmap, "not in exactly one place"],
  [ownMetadataFree, "calls content of files free"],
])("it is in doubt after %o", async (damage, reason) => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder);
    await damage(image);
    await expect(used(image)).rejects.toThrow(reason);
  });
});
