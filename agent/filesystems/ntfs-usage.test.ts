import { existsSync } from "node:fs";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { totalBytes } from "#shared/domain/extents.ts";
import { markNtfsUsed } from "./ntfs-usage.ts";
import { whileMounted } from "./testing/mounted-by-driver.ts";
import {
  copyExtents,
  createFiles,
  createJunkImage,
  inScratch,
  isRoot,
  MIB,
  tool,
} from "./testing/test-image.ts";
import { markedIn } from "./testing/usage-of.ts";

const SIZE_BYTES = 48 * MIB;

async function makeImage(folder: string, options: string[] = []): Promise<string> {
  const image = join(folder, "image");
  await createJunkImage(image, SIZE_BYTES);
  tool("mkfs.ntfs", "-F", "-Q", "-q", ...options, image);
  return image;
}

const used = (image: string) => markedIn(image, markNtfsUsed);

const withMount = (image: string, options: string, run: (folder: string) => Promise<void>): Promise<void> =>
  whileMounted(image, (folder) => ["ntfs-3g", "-o", `${options},no_detach`, image, folder], run);

test.each([
  ["clusters of 4 KiB", []],
  ["clusters of 512 bytes", ["-c", "512"]],
  ["clusters of 64 KiB", ["-c", "65536"]],
])("the free clusters are those that ntfsinfo counts: %s", async (_, options) => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder, options);
    const file = join(folder, "file");
    await writeFile(file, Buffer.alloc(300_000, "content "));
    for (const name of ["one", "two"]) tool("ntfscp", "-q", image, file, name);
    const information = tool("ntfsinfo", "-m", image);
    const field = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(information)?.[1]);
    const extents = await used(image);
    expect(SIZE_BYTES - totalBytes(extents)).toBe(field("Free Clusters") * field("Cluster Size"));

    const restored = join(folder, "restored");
    await copyExtents(image, restored, extents);
    tool("ntfsfix", "--no-action", restored);
    expect(tool("ntfscat", restored, "two")).toBe(await readFile(file, "utf8"));
  });
});

test.skipIf(!isRoot || !existsSync("/dev/fuse"))(
  "used extents alone restore equal files after many were deleted",
  async () => {
    await inScratch(async (folder) => {
      const image = await makeImage(folder);
      const before = join(folder, "before");
      await withMount(image, "rw", async (mount) => {
        await createFiles(join(mount, "files"), 300);
        tool("find", mount, "-name", "delete-*", "-delete");
        tool("cp", "-r", join(mount, "files"), before);
      });
      const restored = join(folder, "restored");
      const extents = await used(image);
      expect(totalBytes(extents)).toBeLessThan(SIZE_BYTES);
      await copyExtents(image, restored, extents);
      await withMount(restored, "ro", async (mount) => {
        tool("diff", "-r", before, join(mount, "files"));
      });
    });
  },
);

test.each([
  ["marked dirty", 0x1, "marked dirty"],
  ["whose log is to be resized", 0x2, "not finished"],
  ["that chkdsk was working on", 0x4000, "not finished"],
])("a volume %s is a doubt", async (_, flags, doubt) => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder);
    const bytes = await readFile(image);
    // In file record 3: the attribute of type 0x70, which is in the record.
    const record = Number(bytes.readBigUInt64LE(0x30)) * 4096 + 3 * 1024;
    const attribute = bytes.indexOf(Buffer.from("70000000", "hex"), record);
    const place = attribute + bytes.readUInt16LE(attribute + 20) + 10;
    const file = await open(image, "r+");
    const value = Buffer.from([flags & 0xff, flags >> 8]);
    await file.write(value, 0, 2, place);
    await file.close();
    await expect(used(image)).rejects.toThrow(doubt);
  });
});

test("a hibernated Windows is a doubt, a hibernation file that was cleared is not", async () => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder);
    const file = join(folder, "hiberfil.sys");
    await writeFile(file, Buffer.alloc(8192));
    tool("ntfscp", "-q", image, file, "hiberfil.sys");
    await used(image);
    await writeFile(file, Buffer.alloc(8192, "hibr"));
    tool("ntfscp", "-q", image, file, "hiberfil.sys");
    await expect(used(image)).rejects.toThrow("hibernated");
  });
});

test("a file whose name only contains that of the hibernation file is not one, and does not hide it", async () => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder);
    const file = join(folder, "file");
    await writeFile(file, Buffer.alloc(8192, "hibr"));
    tool("ntfscp", "-q", image, file, "a-hiberfil.sys");
    tool("ntfscp", "-q", image, file, "hiberfil.sys.old");
    await used(image);
    tool("ntfscp", "-q", image, file, "hiberfil.sys");
    await expect(used(image)).rejects.toThrow("hibernated");
  });
});

test("a $Bitmap that calls its own metadata free is a doubt", async () => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder);
    const bitmap = join(folder, "bitmap");
    await writeFile(bitmap, Buffer.alloc(1536));
    tool("ntfscp", "-q", "-f", image, bitmap, "$Bitmap");
    await expect(used(image)).rejects.toMatchObject({ name: "DoubtError" });
  });
});

/** A restart page as Windows writes it; `newest` is the number of the newest log record that it lists. */
function restartPage({ newest, inUse }: { newest: number; inUse: boolean }): Buffer {
  const page = Buffer.alloc(4096);
  const area = 0x30;
  page.write("RSTR", "latin1");
  page.writeUInt16LE(0x1e, 4);
  page.writeUInt16LE(9, 6);
  page.writeUInt32LE(4096, 16);
  page.writeUInt32LE(4096, 20);
  page.writeUInt16LE(area, 24);
  page.writeBigUInt64LE(BigInt(newest), area);
  page.writeUInt16LE(1, area + 8);
  page.writeUInt16LE(inUse ? 0xffff : 0, area + 10);
  page.writeUInt16LE(inUse ? 0 : 0xffff, area + 12);
  page.writeUInt16LE(inUse ? 0 : 2, area + 14);
  page.writeUInt16LE(1, 0x1e);
  for (let stride = 1; stride <= 8; stride++) page.writeUInt16LE(1, stride * 512 - 2);
  return page;
}

const CLEAN = (newest: number) => restartPage({ newest, inUse: false });
const IN_USE = (newest: number) => restartPage({ newest, inUse: true });
const NEVER_WRITTEN = Buffer.alloc(4096, 0xff);

test.each([
  ["both clean", [CLEAN(1), CLEAN(2)], undefined],
  ["the second newer and in use (partclone#79)", [CLEAN(0x1000), IN_USE(0x2000)], "its log is in use"],
  ["the first newer and in use", [IN_USE(0x2000), CLEAN(0x1000)], "its log is in use"],
  ["the second newer and clean", [IN_USE(0x1000), CLEAN(0x2000)], undefined],
  ["the first newer and clean", [CLEAN(0x2000), IN_USE(0x1000)], undefined],
  ["as new as each other, and at odds", [CLEAN(7), IN_USE(7)], "not understood"],
  ["only the first was ever written", [CLEAN(7), NEVER_WRITTEN], undefined],
  ["only the second was ever written", [NEVER_WRITTEN, IN_USE(7)], "not understood"],
  [
    "a third one, where a system with larger pages puts its second",
    [CLEAN(7), CLEAN(7), IN_USE(9)],
    "not understood",
  ],
  ["the second torn", [CLEAN(7), IN_USE(9).fill(0, 1022, 1024)], "torn"],
  ["the second something else", [CLEAN(7), Buffer.alloc(4096)], "not understood"],
] as const)("of the log's two restart pages the newer one counts: %s", async (_, pages, doubt) => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder);
    const bytes = await readFile(image);
    // The log of a new volume is all ones; its record says which cluster it begins with.
    const record = Number(bytes.readBigUInt64LE(0x30)) * 4096 + 2 * 1024;
    const attribute = bytes.indexOf(Buffer.from("80000000", "hex"), record);
    const runs = attribute + bytes.readUInt16LE(attribute + 32);
    const sizes = bytes.readUInt8(runs);
    const cluster = bytes.readUIntLE(runs + 1 + (sizes & 0xf), sizes >> 4);
    const file = await open(image, "r+");
    const log = Buffer.concat(pages);
    await file.write(log, 0, log.length, cluster * 4096);
    await file.close();
    if (doubt) await expect(used(image)).rejects.toThrow(doubt);
    else expect(totalBytes(await used(image))).toBeLessThan(SIZE_BYTES);
  });
});
