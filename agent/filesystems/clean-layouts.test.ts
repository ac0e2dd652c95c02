/**
 * Copying everything must not become the rule: of clean layouts, exactly the bytes that their own tools call
 * free are left out.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { totalBytes } from "#shared/domain/extents.ts";
import { inPhysicalVolume } from "./testing/physical-volume.ts";
import { createSparse, inScratch, isRoot, MIB, place, tool } from "./testing/test-image.ts";
import { usageOf } from "./testing/usage-of.ts";

/** Makes a file system in its own file and returns how many bytes its own tool calls free. */
type MakeVolume = (image: string) => number;

const ext =
  (type: string): MakeVolume =>
  (image) => {
    tool("mke2fs", "-q", "-F", "-t", type, "-E", "nodiscard", image);
    const header = tool("dumpe2fs", "-h", image);
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(header)?.[1]);
    return field("Free blocks") * field("Block size");
  };

const xfs: MakeVolume = (image) => {
  tool("mkfs.xfs", "-q", "-f", "-K", image);
  const groups = [0, 1, 2, 3].flatMap((group) => ["-c", `agf ${group}`, "-c", "p freeblks"]);
  const counts = tool("xfs_db", "-r", ...groups, image).matchAll(/freeblks = (\d+)/g);
  return [...counts].reduce((sum, [, count]) => sum + Number(count) * 4096, 0);
};

const ntfs: MakeVolume = (image) => {
  tool("mkfs.ntfs", "-q", "-F", "-Q", image);
  const information = tool("ntfsinfo", "-m", image);
  const field = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(information)?.[1]);
  return field("Free Clusters") * field("Cluster Size");
};

const exfat: MakeVolume = (image) => {
  tool("mkfs.exfat", image);
  const information = tool("dump.exfat", image);
  const field = (name: string) => Number(new RegExp(`${name}:\\s*(\\d+)`).exec(information)?.[1]);
  return field("Free Clusters") * field("Cluster size");
};

const nothingFree =
  (...command: [string, ...string[]]): MakeVolume =>
  (image) => {
    tool(...command, image);
    return 0;
  };
const esp = nothingFree("mkfs.vfat");
const swap = nothingFree("mkswap");
const bootCode: MakeVolume = () => 0;

interface Layout {
  sizeMiB: number;
  partition: (image: string, folder: string) => Promise<unknown> | unknown;
  /** Where each volume begins, its size, and its content. */
  volumes: [startMiB: number, sizeMiB: number, MakeVolume][];
}

const gpt =
  (...types: [startMiB: number, sizeMiB: number, type: string][]) =>
  (image: string) =>
    tool(
      "sgdisk",
      "--clear",
      ...types.flatMap(([start, size, type], index) => [
        `--new=${index + 1}:${start * 2048}:+${size}M`,
        `--typecode=${index + 1}:${type}`,
      ]),
      image,
    );

const mbr =
  (...lines: string[]) =>
  async (image: string, folder: string) => {
    const script = join(folder, "script");
    await writeFile(script, `${["label: dos", ...lines].join("\n")}\n`);
    tool("sh", "-c", `sfdisk -q ${image} < ${script}`);
  };

const LAYOUTS: Record<string, Layout> = {
  "Debian with UEFI: GPT, ESP, ext4, swap": {
    sizeMiB: 160,
    partition: gpt([1, 40, "ef00"], [41, 96, "8300"], [137, 8, "8200"]),
    volumes: [
      [1, 40, esp],
      [41, 96, ext("ext4")],
      [137, 8, swap],
    ],
  },
  "Debian with BIOS: GPT, boot code, ext4": {
    sizeMiB: 100,
    partition: gpt([1, 1, "ef02"], [2, 96, "8300"]),
    volumes: [
      [1, 1, bootCode],
      [2, 96, ext("ext4")],
    ],
  },
  "MBR with ext4, ext3, and ext2 and swap in logical partitions": {
    sizeMiB: 128,
    partition: mbr(
      "2048,65536,83,*",
      "67584,32768,83",
      "100352,102400,5",
      "102400,32768,83",
      "137216,16384,82",
    ),
    volumes: [
      [1, 32, ext("ext4")],
      [33, 16, ext("ext3")],
      [50, 16, ext("ext2")],
      [67, 8, swap],
    ],
  },
  "GPT with XFS": { sizeMiB: 330, partition: gpt([1, 320, "8300"]), volumes: [[1, 320, xfs]] },
  "MBR with NTFS, as Windows has it": {
    sizeMiB: 100,
    partition: mbr("2048,32768,7,*", "34816,131072,7"),
    volumes: [
      [1, 16, ntfs],
      [17, 64, ntfs],
    ],
  },
  "MBR with exFAT, as Windows has it": {
    sizeMiB: 66,
    partition: mbr("2048,131072,7"),
    volumes: [[1, 64, exfat]],
  },
  "MBR with NTFS up to the last sector of the disk, as fdisk creates it": {
    sizeMiB: 65,
    partition: mbr("2048,,7"),
    volumes: [[1, 64, ntfs]],
  },
  "GPT with NTFS, as Windows has it": {
    sizeMiB: 140,
    partition: gpt([1, 40, "ef00"], [41, 16, "0c01"], [57, 64, "0700"], [121, 16, "2700"]),
    volumes: [
      [1, 40, esp],
      [41, 16, bootCode],
      [57, 64, ntfs],
      [121, 16, ntfs],
    ],
  },
};

test.each(Object.entries(LAYOUTS))("all free space is left out: %s", async (_, layout) => {
  await inScratch(async (folder) => {
    const image = join(folder, "disk");
    createSparse(image, layout.sizeMiB);
    await layout.partition(image, folder);
    let freeBytes = 0;
    for (const [startMiB, sizeMiB, make] of layout.volumes) {
      const volume = join(folder, "volume");
      createSparse(volume, sizeMiB);
      freeBytes += make(volume);
      place(volume, image, startMiB, true);
    }
    const usage = await usageOf(image);
    expect(usage.sizeBytes - totalBytes(usage.used)).toBe(freeBytes);
    expect(freeBytes).toBeGreaterThan(0);
  });
});

test.each([
  ["ext4", 64, ext("ext4")],
  ["xfs", 320, xfs],
  ["ntfs", 64, ntfs],
  ["exfat", 64, exfat],
] as const)("all free space is left out: a disk without partitions, %s", async (_, sizeMiB, make) => {
  await inScratch(async (folder) => {
    const image = join(folder, "disk");
    createSparse(image, sizeMiB);
    const freeBytes = make(image);
    const usage = await usageOf(image);
    expect(usage.sizeBytes - totalBytes(usage.used)).toBe(freeBytes);
  });
});

test.skipIf(!isRoot)("all free space is left out: LVM on one partition and on two disks", async () => {
  await inScratch(async (folder) => {
    const disk = join(folder, "disk");
    createSparse(disk, 130);
    gpt([1, 128, "8e00"])(disk);
    const [first, second] = [join(folder, "first"), join(folder, "second")];
    createSparse(first, 128);
    createSparse(second, 64);
    const [root, srv] = [join(folder, "root"), join(folder, "srv")];
    createSparse(root, 64);
    createSparse(srv, 32);
    const freeBytes = { root: ext("ext4")(root), srv: ext("ext4")(srv) };
    await inPhysicalVolume([first, second], (lvm, [a, b]) => {
      lvm("vgcreate", "-q", "-s", "4M", "vg", a, b);
      for (const [name, size, device] of [
        ["root", "64M", a],
        ["swap", "8M", a],
        ["srv", "32M", b],
      ] as const) {
        lvm("lvcreate", "-q", "-an", "-Zn", "-Wn", "-L", size, "-n", name, "vg", device);
      }
    });
    // LVM's extents begin at 1 MiB.
    place(root, first, 1, true);
    place(srv, second, 1, true);
    place(first, disk, 1, true);
    const [one, two] = [await usageOf(disk), await usageOf(second)];
    // 31 extents of 4 MiB, of which root has 16 and swap 2; 15, of which srv has 8.
    expect(one.sizeBytes - totalBytes(one.used)).toBe(freeBytes.root + 13 * 4 * MIB);
    expect(two.sizeBytes - totalBytes(two.used)).toBe(freeBytes.srv + 7 * 4 * MIB);
  });
});
