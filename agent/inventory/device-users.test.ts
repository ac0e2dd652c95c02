import { join } from "node:path";
import { expect, test } from "vitest";
import type { Disk } from "#shared/protocol/inventory.ts";
import { createJunkImage, inScratch, MIB, tool } from "../filesystems/testing/test-image.ts";
import { Mounts } from "../machine/mounts.ts";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { collectDisks, isUnused } from "./disks.ts";

type Seen = Record<string, string>;

/** One disk with an ext4 on its only partition, and what else the kernel shows. */
async function describe(content: "ext4" | "zfs", files: Seen, links: Seen = {}): Promise<Disk> {
  let disk: Disk | undefined;
  await inScratch(async (folder) => {
    const image = join(folder, "disk");
    await createJunkImage(image, 16 * MIB);
    tool("dd", "if=/dev/zero", `of=${image}`, "bs=1M", "count=1", "conv=notrunc", "status=none");
    tool("sgdisk", "--clear", "--new=1:2048:+8M", "--typecode=1:8300", image);
    if (content === "ext4") tool("mke2fs", "-q", "-F", "-E", `offset=${MIB}`, "-b", "1024", image, "8M");
    else
      tool(
        "sh",
        "-c",
        `printf '\\014\\261\\272\\0\\0\\0\\0\\0' | dd of=${image} bs=1k seek=1152 conv=notrunc status=none`,
      );
    const machine = new RecordedMachine({
      files: {
        "/sys/block/sda/size": "32768\n",
        "/sys/class/block/sda/size": "32768\n",
        "/sys/class/block/sda/dev": "8:0\n",
        "/sys/class/block/sda1/dev": "8:1\n",
        ...files,
      },
      links: { "/sys/class/block/sda": "/sys/devices/pci0000:00/ata1/block/sda", ...links },
      disks: { "/dev/sda": image },
    });
    [disk] = await collectDisks(machine, await Mounts.read(machine), []);
  });
  if (!disk) throw new Error("the disk is not listed");
  return disk;
}

test("a disk that nothing uses is unused", async () => {
  const disk = await describe("ext4", {});
  expect(disk.usedBy).toBeUndefined();
  expect(disk.partitions[0]?.content.type).toBe("ext2");
  expect(isUnused(disk)).toBe(true);
});

test.each<[string, string, Seen, Seen?]>([
  ["the device mapper holds the partition", "dm-3", { "/sys/class/block/sda1/holders/dm-3/dev": "253:3" }],
  ["an md array holds the disk", "md127", { "/sys/class/block/sda/holders/md127/dev": "9:127" }],
  ["bcache holds the partition", "bcache0", { "/sys/class/block/sda1/holders/bcache0/dev": "252:0" }],
  [
    "a loop device stands for the partition by another name",
    "loop7",
    { "/sys/block/loop7/loop/backing_file": "/dev/disk/by-id/ata-x-part1\n" },
    { "/dev/disk/by-id/ata-x-part1": "/dev/sda1" },
  ],
  [
    "an iSCSI target exports the disk",
    "iSCSI target store",
    { "/sys/kernel/config/target/core/iblock_0/store/udev_path": "/dev/sda\n" },
  ],
  [
    "an NVMe target exports the partition",
    "NVMe target nqn.x",
    { "/sys/kernel/config/nvmet/subsystems/nqn.x/namespaces/1/device_path": "/dev/sda1\n" },
  ],
  [
    "a btrfs that is mounted from another device contains the partition",
    "btrfs 0e4f",
    { "/sys/fs/btrfs/0e4f/devices/sda1/dev": "8:1", "/sys/fs/btrfs/0e4f/devices/sdb/dev": "8:16" },
  ],
  [
    "a container has the partition mounted, which shows no mount here",
    "ext4 on sda1",
    { "/sys/fs/ext4/sda1/errors_count": "0\n", "/sys/fs/ext4/features/lazy_itable_init": "supported\n" },
  ],
  [
    "a container has the partition mounted, by a driver of whose mounts the kernel has no list",
    "exfat on sda1",
    { "/proc/7/mountinfo": "40 1 8:1 / /data rw - exfat /dev/sda1 rw\n" },
    { "/proc/self/ns/mnt": "mnt:[1]", "/proc/7/ns/mnt": "mnt:[2]", "/proc/8/ns/mnt": "mnt:[1]" },
  ],
])("a disk is in use while %s", async (_, user, files, links = {}) => {
  const disk = await describe("ext4", files, links);
  expect(disk.usedBy).toEqual([user]);
  expect(isUnused(disk)).toBe(false);
});

test("a device of a ZFS pool may be in use although nothing holds it", async () => {
  const disk = await describe("zfs", {});
  expect(disk.partitions[0]?.content.type).toBe("zfs_member");
  expect(isUnused(disk)).toBe(false);
});
