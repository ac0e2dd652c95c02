import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { totalBytes } from "#shared/domain/extents.ts";
import { openFileReader } from "../disk/reader.ts";
import { readLvmPhysicalVolume } from "./lvm-metadata.ts";
import { editLvmArea } from "./testing/lvm-area.ts";
import { inPhysicalVolume } from "./testing/physical-volume.ts";
import {
  copyExtents,
  createFiles,
  createJunkImage,
  inScratch,
  isRoot,
  MIB,
  tool,
} from "./testing/test-image.ts";
import { usageOf } from "./testing/usage-of.ts";

const AREA_OFFSET = 4096;

async function makePhysicalVolume(folder: string): Promise<string> {
  const image = join(folder, "pv");
  await createJunkImage(image, 64 * MIB);
  await inPhysicalVolume([image], (lvm, [device]) => {
    const inactive = ["-an", "-Zn", "-Wn"];
    lvm("vgcreate", "-q", "-s", "1M", "1st-group", device);
    lvm("lvcreate", "-q", ...inactive, "-L", "20M", "-n", "root", "1st-group");
    lvm("lvcreate", "-q", ...inactive, "-L", "8M", "-n", "swap", "1st-group");
    lvm("lvextend", "-q", "-L", "+10M", "1st-group/root");
  });
  return image;
}

async function rootPieces(path: string): Promise<{ offset: number; length: number }[]> {
  const reader = await openFileReader(path);
  try {
    const { volumes } = await readLvmPhysicalVolume(reader);
    return volumes.find((volume) => volume.name === "root")?.pieces ?? [];
  } finally {
    await reader.close();
  }
}

async function copyPieces(
  pieces: { offset: number; length: number }[],
  physical: string,
  logical: string,
  direction: "in" | "out",
): Promise<void> {
  let done = 0;
  for (const { offset, length } of pieces) {
    const [from, to] = direction === "in" ? [logical, physical] : [physical, logical];
    const [skip, seek] = direction === "in" ? [done, offset] : [offset, done];
    const blocks = [`skip=${skip / MIB}`, `seek=${seek / MIB}`, `count=${length / MIB}`];
    tool("dd", `if=${from}`, `of=${to}`, "bs=1M", "conv=notrunc", "status=none", ...blocks);
    done += length;
  }
}

const editText = (path: string, text: (text: string) => string) => editLvmArea(path, { text });

test.skipIf(!isRoot)(
  "a file system on a logical volume in two pieces is restored from its used extents",
  async () => {
    await inScratch(async (folder) => {
      const image = await makePhysicalVolume(folder);
      const pieces = await rootPieces(image);
      expect(pieces).toHaveLength(2);
      const volume = join(folder, "volume");
      await createJunkImage(volume, 30 * MIB);
      await createFiles(join(folder, "files"), 60);
      tool("mke2fs", "-q", "-F", "-t", "ext4", "-E", "nodiscard", "-d", join(folder, "files"), volume);
      await copyPieces(pieces, image, volume, "in");

      const usage = await usageOf(image);
      expect(usage.volumes).toMatchObject([
        { name: "disk", method: "free-space-map", content: { type: "LVM2_member" } },
      ]);
      // Of 64 MiB, 25 MiB belong to no volume, and the 8 MiB of swap stay; the rest belongs to the file
      // system.
      expect(totalBytes(usage.used)).toBeLessThan(30 * MIB);
      const restored = join(folder, "restored");
      await copyExtents(image, restored, usage.used);
      const extracted = join(folder, "extracted");
      await copyPieces(await rootPieces(restored), restored, extracted, "out");
      tool("e2fsck", "-f", "-n", extracted);
      tool("mkdir", join(folder, "dump"));
      tool("debugfs", "-R", `rdump /nested ${join(folder, "dump")}`, extracted);
      tool("diff", "-r", join(folder, "files/nested"), join(folder, "dump/nested"));
    });
  },
);

test.skipIf(!isRoot)("volumes that are not plain pieces of this disk count as fully used", async () => {
  await inScratch(async (folder) => {
    const image = await makePhysicalVolume(folder);
    const volumesOf = async () => {
      const reader = await openFileReader(image);
      const { volumes } = await readLvmPhysicalVolume(reader);
      await reader.close();
      return Object.fromEntries(volumes.map((volume) => [volume.name, volume.pieces !== undefined]));
    };
    expect(await volumesOf()).toEqual({ root: true, swap: true });
    const good = await readFile(image);

    // A snapshot's store, a pool's data: another volume refers to it.
    await editText(image, (text) => text.replace("stripe_count = 1", 'origin = "swap"\nstripe_count = 1'));
    expect(await volumesOf()).toEqual({ root: true, swap: false });
    await writeFile(image, good);
    await editText(image, (text) => text.replace(/\["READ", "WRITE", "VISIBLE"\]/, '["READ", "WRITE"]'));
    expect(await volumesOf()).toEqual({ root: false, swap: true });
    await writeFile(image, good);
    // The second piece is on another disk.
    await editText(image, (text) => text.replace('"pv0", 28', '"pv1", 0'));
    expect(await volumesOf()).toEqual({ root: false, swap: true });
    await writeFile(image, good);
    await editText(image, (text) => text.replace('type = "striped"', 'type = "raid5"'));
    expect((await usageOf(image)).volumes[0]?.reason).toContain("layout");
  });
});

test.skipIf(!isRoot)("everything is used if the metadata is damaged", async () => {
  await inScratch(async (folder) => {
    const image = await makePhysicalVolume(folder);
    const file = await open(image, "r+");
    await file.write(Buffer.from("flip"), 0, 4, AREA_OFFSET + 300);
    await file.close();
    const usage = await usageOf(image);
    expect(usage.used).toEqual([{ offset: 0, length: 64 * MIB }]);
    expect(usage.volumes[0]?.reason).toContain("checksum");
  });
});
