import { copyFile, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { totalBytes } from "#shared/domain/extents.ts";
import { copyExtents, createFiles, createJunkImage, inScratch, MIB, tool } from "./testing/test-image.ts";
import { usageOf } from "./testing/usage-of.ts";

/** Fills a file system from a folder, then deletes every second file with the file system's own tools. */
async function makeImage(folder: string, mkfsOptions: string[]): Promise<string> {
  const image = join(folder, "image");
  await createJunkImage(image, 48 * MIB);
  await createFiles(join(folder, "files"), 120);
  tool("mke2fs", "-q", "-F", "-E", "nodiscard", ...mkfsOptions, "-d", join(folder, "files"), image);
  const deletions = Array.from({ length: 60 }, (_, index) => `rm /nested/delete-${index * 2 + 1}`);
  await writeFile(join(folder, "deletions"), `${deletions.join("\n")}\n`);
  tool("debugfs", "-w", "-f", join(folder, "deletions"), image);
  return image;
}

test.each([
  ["ext4 with defaults", ["-t", "ext4"]],
  ["many groups of 1 KiB blocks", ["-t", "ext4", "-b", "1024", "-g", "1024"]],
  ["4 KiB blocks in small groups", ["-t", "ext4", "-b", "4096", "-g", "512"]],
  ["no flexible groups, 32-bit", ["-t", "ext4", "-b", "1024", "-O", "^flex_bg,^64bit"]],
  [
    "group checksums without metadata checksums",
    ["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,uninit_bg"],
  ],
  ["neither kind of checksum", ["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^uninit_bg"]],
  ["meta groups", ["-t", "ext4", "-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode"]],
  ["few superblock copies", ["-t", "ext4", "-b", "1024", "-g", "1024", "-O", "sparse_super2,^resize_inode"]],
  [
    "a copy of the superblock in every group",
    ["-t", "ext4", "-b", "1024", "-O", "^sparse_super,^resize_inode"],
  ],
  ["a checksum seed of its own", ["-t", "ext4", "-O", "metadata_csum_seed"]],
  ["bigalloc", ["-t", "ext4", "-b", "4096", "-C", "16384", "-O", "bigalloc,^resize_inode"]],
  ["no journal", ["-t", "ext4", "-O", "^has_journal"]],
  ["ext3", ["-t", "ext3", "-b", "1024"]],
  ["ext2", ["-t", "ext2", "-b", "1024"]],
])("used extents alone restore a sound file system with equal files: %s", async (_, options) => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder, options);
    const usage = await usageOf(image);
    expect(usage.volumes).toMatchObject([{ name: "disk", method: "free-space-map" }]);

    const header = tool("dumpe2fs", "-h", image);
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(header)?.[1]);
    expect(48 * MIB - totalBytes(usage.used)).toBe(field("Free blocks") * field("Block size"));

    const restored = join(folder, "restored");
    await copyExtents(image, restored, usage.used);
    // Exit code 0: nothing to correct.
    tool("e2fsck", "-f", "-n", restored);
    const dump = join(folder, "dump");
    tool("mkdir", dump);
    tool("debugfs", "-R", `rdump /nested ${dump}`, restored);
    tool("find", join(folder, "files/nested"), "-name", "delete-*", "-delete");
    tool("diff", "-r", join(folder, "files/nested"), join(dump, "nested"));
  });
});

test("a file system smaller than its volume leaves the rest of the volume used", async () => {
  await inScratch(async (folder) => {
    const image = join(folder, "image");
    await createJunkImage(image, 48 * MIB);
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-E", "nodiscard", image, "32M");
    const { used } = await usageOf(image);
    expect(used.at(-1)).toEqual({ offset: 32 * MIB, length: 16 * MIB });
  });
});

test.each([
  ["its journal holds changes", ["feature needs_recovery"], "journal is in use"],
  ["it was not unmounted", ["ssv state 0"], "not unmounted"],
  ["it is marked as having errors", ["ssv state 3"], "errors"],
  ["it has a feature from the future", ["ssv feature_incompat 0x100002c2"], "not known"],
  ["its superblock is larger than the volume", ["ssv blocks_count 99999999"], "larger than its volume"],
  ["its free counts differ", ["ssv free_blocks_count 17"], "differ"],
  ["a group's checksum is wrong", ["set_bg 0 checksum 4711"], "checksum of its group 0"],
])("everything is used, with the reason, when %s", async (_, commands, reason) => {
  await inScratch(async (folder) => {
    const image = join(folder, "image");
    await createJunkImage(image, 8 * MIB);
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-E", "nodiscard", image);
    for (const command of commands) tool("debugfs", "-w", "-R", command, image);
    const usage = await usageOf(image);
    expect(usage.used).toEqual([{ offset: 0, length: 8 * MIB }]);
    expect(usage.volumes).toMatchObject([{ method: "everything", reason: expect.stringContaining(reason) }]);
  });
});

test("a flipped bit in a bitmap is detected by its checksum", async () => {
  await inScratch(async (folder) => {
    const image = join(folder, "image");
    await createJunkImage(image, 8 * MIB);
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-E", "nodiscard", image);
    const bitmapBlock = Number(/Block bitmap at (\d+)/.exec(tool("dumpe2fs", image))?.[1]);
    const damaged = join(folder, "damaged");
    await copyFile(image, damaged);
    const file = await open(damaged, "r+");
    await file.write(new Uint8Array([0]), 0, 1, bitmapBlock * 1024);
    await file.close();
    expect((await usageOf(damaged)).volumes[0]?.reason).toContain("bitmap is wrong");
  });
});
