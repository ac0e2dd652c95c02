import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { totalBytes } from "#shared/domain/extents.ts";
import { copyExtents, createFiles, inScratch, isRoot, MIB, mounted, tool } from "./testing/test-image.ts";
import { markedIn } from "./testing/usage-of.ts";
import { markXfsUsed } from "./xfs-usage.ts";

const SIZE_BYTES = 320 * MIB;

async function makeImage(folder: string, options: string[]): Promise<string> {
  const image = join(folder, "image");
  tool("truncate", "-s", String(SIZE_BYTES), image);
  tool("mkfs.xfs", "-q", "-K", ...options, image);
  return image;
}

const used = (image: string) => markedIn(image, markXfsUsed);

/** Makes a file system with files in it, without mounting it. */
async function makeFilledImage(folder: string, options: string[]): Promise<string> {
  const content = join(folder, "content");
  await writeFile(content, Buffer.alloc(3 * MIB, "content "));
  const lines = [
    "/dev/null",
    "0 0",
    "d--755 0 0",
    `one ---644 0 0 ${content}`,
    `two ---644 0 0 ${content}`,
    "$",
  ];
  const prototype = join(folder, "prototype");
  await writeFile(prototype, `${lines.join("\n")}\n`);
  return makeImage(folder, [...options, "-p", prototype]);
}

test.each([
  ["version 5", []],
  ["version 4, which newer kernels do not mount", ["-m", "crc=0"]],
])(
  "the free bytes are those that the groups' headers count, and the rest is sound: %s",
  async (_, options) => {
    await inScratch(async (folder) => {
      const image = await makeFilledImage(folder, options);
      const groups = [0, 1, 2, 3].flatMap((group) => ["-c", `agf ${group}`, "-c", "p freeblks"]);
      const counts = tool("xfs_db", "-r", ...groups, image).matchAll(/freeblks = (\d+)/g);
      const freeBlocks = [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
      const extents = await used(image);
      expect(SIZE_BYTES - totalBytes(extents)).toBe(freeBlocks * 4096);
      const restored = join(folder, "restored");
      await copyExtents(image, restored, extents);
      tool("xfs_repair", "-n", "-f", restored);
    });
  },
);

test.skipIf(!isRoot).each([
  ["with all its trees", 300, ["-m", "rmapbt=1,reflink=1,finobt=1"]],
  ["blocks of 1 KiB, so that the trees have levels", 1500, ["-b", "size=1024"]],
  ["sectors of 4 KiB", 100, ["-s", "size=4096"]],
])(
  "used extents alone restore a sound file system with equal files: %s",
  async (_, files, options) => {
    await inScratch(async (folder) => {
      const image = await makeImage(folder, options);
      const before = join(folder, "before");
      await mounted(image, "rw", async (mount) => {
        await createFiles(join(mount, "files"), files);
        tool("find", mount, "-name", "delete-*", "-delete");
        tool("cp", "-r", join(mount, "files"), before);
      });
      const extents = await used(image);
      expect(totalBytes(extents)).toBeLessThan(SIZE_BYTES / 2);
      const restored = join(folder, "restored");
      await copyExtents(image, restored, extents);
      tool("xfs_repair", "-n", "-f", restored);
      await mounted(restored, "ro,nouuid", async (mount) => {
        tool("diff", "-r", before, join(mount, "files"));
      });
    });
  },
  60_000,
);

test.skipIf(!isRoot)("a file system whose log is in use is a doubt", async () => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder, []);
    const live = join(folder, "live");
    await mounted(image, "rw", async (mount) => {
      await createFiles(join(mount, "files"), 50);
      tool("sync", "-f", mount);
      tool("cp", "--sparse=always", image, live);
    });
    await expect(used(live)).rejects.toThrow("log is in use");
    // Once unmounted, the same file system is trusted again.
    expect(totalBytes(await used(image))).toBeLessThan(SIZE_BYTES / 2);
  });
});

test.each([
  [
    "a checksum of its free-space tree is wrong",
    ["agf 1", "addr bnoroot", "write -d numrecs 0"],
    "free count",
  ],
  ["the free count of a group differs", ["agf 0", "write -d freeblks 5"], "free count of group 0"],
  ["it has a feature from the future", ["sb 0", "write -d features_incompat 0x8000000"], "not known"],
  ["it needs repair", ["sb 0", "write -d features_incompat 0x1b"], "not known"],
])("it is a doubt, with the reason, when %s", async (_, commands, reason) => {
  await inScratch(async (folder) => {
    const image = await makeImage(folder, []);
    tool("xfs_db", "-x", ...commands.flatMap((command) => ["-c", command]), image);
    await expect(used(image)).rejects.toMatchObject({
      name: "DoubtError",
      message: expect.stringContaining(reason),
    });
  });
});
