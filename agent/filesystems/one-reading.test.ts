/**
 * Layouts that some program read wrongly; the reports are named. No byte of the live layer may be left out.
 */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { totalBytes } from "#shared/domain/extents.ts";
import { DiskInLayers, mdSuperblock } from "./testing/layers.ts";
import { inScratch, MIB, tool } from "./testing/test-image.ts";
import { usageOf } from "./testing/usage-of.ts";

interface Case {
  sizeMiB?: number;
  build: (disk: DiskInLayers) => Promise<unknown>;
  /** The part that is copied whole, and a part of the reason. */
  doubt: [place: string, reason: RegExp];
}

/** One entry more than the tools write. */
const entry = (status: number, type: number, firstSector: number, sectors: number): Buffer => {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt8(status, 0);
  bytes.writeUInt8(type, 4);
  bytes.writeUInt32LE(firstSector, 8);
  bytes.writeUInt32LE(sectors, 12);
  return bytes;
};
const entryOffset = (number: number) => 446 + 16 * (number - 1);

const CASES: Record<string, Case> = {
  "a member of an md array under an old partition table (util-linux#918, xcp#75)": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
      await disk.ext4(1, 23);
      await disk.write(4096, mdSuperblock(8, 24 * MIB));
      expect(tool("blkid", "--probe", disk.path)).toContain("linux_raid_member");
    },
    doubt: ["disk", /linux_raid_member/],
  },
  "a member of an md array with its superblock at the end, ext4 showing through (xcp#107)": {
    build: async (disk) => {
      await disk.ext4(0, 24);
      await disk.write(-8192, mdSuperblock((24 * MIB - 8192) / 512, 24 * MIB));
      expect(tool("blkid", "--probe", disk.path)).toContain("linux_raid_member");
    },
    doubt: ["disk", /as linux_raid_member, as ext4/],
  },
  "a partition that is a virtual machine's disk, on a former ext4 (virt-manager#259, util-linux#2216)": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
      await disk.ext4(1, 23);
      await disk.write(MIB + entryOffset(1), entry(0, 0x83, 2048, 40_000));
      await disk.write(MIB + 510, "\x55\xaa");
    },
    doubt: ["partition 1", /as dos, as ext4/],
  },
  "a partition that is a virtual machine's disk with a GPT": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
      await disk.ext4(1, 23);
      await disk.write(MIB + 512, "EFI PART");
    },
    doubt: ["partition 1", /as gpt, as ext4/],
  },
  "a table with an entry without size, and an ext4 over the whole disk from before": {
    build: async (disk) => {
      await disk.ext4(0, 24);
      await disk.mbr("8192,40960,83");
      await disk.write(entryOffset(4), entry(0, 0x83, 2048, 0));
      await disk.ext4(4, 20);
    },
    doubt: ["disk", /beside its partition table it can be read as ext4/],
  },
  "a table whose only entry has no size": {
    build: async (disk) => {
      await disk.ext4(0, 24);
      await disk.write(entryOffset(1), entry(0, 0x83, 2048, 0));
      await disk.write(510, "\x55\xaa");
    },
    doubt: ["disk", /entries, but no partition/],
  },
  "a table with an odd status byte, which Linux does not read and others do": {
    build: async (disk) => {
      await disk.ext4(0, 24);
      await disk.mbr("8192,40960,83");
      await disk.write(entryOffset(3), "\x01");
    },
    doubt: ["disk", /odd status/],
  },
  "an entry of no type that Linux shows as a partition": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
      await disk.ext4(1, 23);
      await disk.write(entryOffset(1) + 4, "\0");
    },
    doubt: ["partition 1", /type \(0x00\) is not known/],
  },
  "a partition that begins at its own table": {
    build: async (disk) => {
      await disk.ext4(0, 24);
      await disk.write(entryOffset(1), entry(0, 0x83, 0, 49_152));
      await disk.write(510, "\x55\xaa");
    },
    doubt: ["disk", /begins at the partition table/],
  },
  "a Windows dynamic disk, by its partition's type (libldm#9, #17, #22)": {
    build: async (disk) => {
      await disk.mbr("2048,,42");
      await disk.ntfs(1, 20);
    },
    doubt: ["disk", /dynamic disk/],
  },
  "a Windows dynamic disk, by the type in its GPT": {
    build: async (disk) => {
      disk.gpt([1, 1, "4200"], [2, 21, "4201"]);
      await disk.ntfs(2, 20);
    },
    doubt: ["disk", /dynamic disk/],
  },
  "a Windows dynamic disk whose table was replaced, by its database": {
    build: async (disk) => {
      await disk.mbr("2048,45056,7");
      await disk.ntfs(1, 22);
      await disk.write(-512, "PRIVHEAD");
    },
    doubt: ["disk", /ldm/],
  },
  "a BSD label in a partition, whose entries may be anywhere on the disk": {
    build: async (disk) => {
      await disk.mbr("2048,8192,a6", "10240,38912,83");
      await disk.ext4(5, 19);
      await disk.write(MIB + 512, Buffer.from("57455682", "hex"));
    },
    doubt: ["disk", /table \(bsd\) that may reach beyond it/],
  },
  "a Windows dynamic disk whose partitions' types were changed, by the database in one of them": {
    build: async (disk) => {
      disk.gpt([1, 1, "0700"], [2, 21, "0700"]);
      await disk.ntfs(2, 20);
      await disk.write(2 * MIB - 512, "PRIVHEAD");
    },
    doubt: ["disk", /table \(ldm\)/],
  },
  "an extended boot record within a partition's free space": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
      await disk.ext4(1, 23);
      await disk.write(entryOffset(2), entry(0, 5, 32_768, 16_384));
      await disk.write(32_768 * 512 + 446, entry(0, 0x83, 2048, 8192));
      await disk.write(32_768 * 512 + 462, Buffer.alloc(48));
      await disk.write(32_768 * 512 + 510, "\x55\xaa");
    },
    doubt: ["disk", /overlaps an extended partition/],
  },
  "an extended boot record within a logical partition": {
    build: async (disk) => {
      await disk.mbr("2048,45056,5", "4096,16384,83", "22528,20480,83");
      await disk.ext4(2, 8);
      // The first logical partition reaches over the second one's record.
      const record = Buffer.from(await readFile(disk.path)).subarray(MIB, MIB + 512);
      record.writeUInt32LE(30_000, 458);
      await disk.write(MIB, Buffer.from(record));
    },
    doubt: ["disk", /overlaps/],
  },
  "a hybrid MBR that disagrees with the GPT (util-linux#699)": {
    build: async (disk) => {
      disk.gpt([1, 22, "8300"]);
      await disk.ext4(1, 22);
      await disk.write(entryOffset(2), entry(0x80, 0x83, 4096, 16_384));
    },
    doubt: ["disk", /entry 2 of the MBR is not a partition of the GPT/],
  },
  "a protective MBR that protects the end only (seismograph#23)": {
    build: async (disk) => {
      disk.gpt([1, 22, "8300"]);
      await disk.ext4(1, 22);
      await disk.write(entryOffset(1) + 8, Buffer.from([0, 8, 0, 0]));
    },
    doubt: ["disk", /protective entry/],
  },
  "a GPT under an MBR that does not announce it (redorescue#10)": {
    build: async (disk) => {
      disk.gpt([1, 22, "8300"]);
      await disk.ext4(1, 22);
      await disk.write(entryOffset(1), entry(0, 0x83, 2048, 45_056));
    },
    doubt: ["disk", /as gpt/],
  },
  "a GPT whose backup disagrees": {
    build: async (disk) => {
      disk.gpt([1, 10, "8300"]);
      const old = Buffer.from(await readFile(disk.path)).subarray(-33 * 512);
      disk.gpt([1, 22, "8300"]);
      await disk.ext4(1, 22);
      await disk.write(-33 * 512, old);
    },
    doubt: ["disk", /its backup differ/],
  },
  "a GPT that only its backup still has, so that Linux shows no partition": {
    build: async (disk) => {
      disk.gpt([1, 22, "8300"]);
      await disk.ext4(1, 22);
      await disk.write(512, Buffer.alloc(512));
    },
    doubt: ["disk", /primary GPT is damaged/],
  },
  "labels of ZFS at the end of an ext4 (util-linux#1305, #3613)": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
      await disk.ext4(1, 23);
      await disk.write(24 * MIB - 128 * 1024, Buffer.from("0cb1ba0000000000", "hex"));
    },
    doubt: ["partition 1", /zfs_member/],
  },
  "an ISO image that happens to be at 32 KiB of an XFS (util-linux#4031)": {
    sizeMiB: 330,
    build: async (disk) => {
      disk.gpt([1, 320, "8300"]);
      await disk.volume(1, 320, "mkfs.xfs", "-q", "-f", "-K");
      await disk.write(MIB + 32 * 1024 + 1, "CD001");
    },
    doubt: ["partition 1", /as xfs, as iso9660/],
  },
  "the second header of a LUKS container whose first is overwritten (util-linux#3897)": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
      await disk.ext4(1, 23);
      await disk.write(MIB + 4 * MIB, "SKUL\xba\xbe");
      await disk.write(MIB + 4 * MIB + 256, Buffer.from("0000000000400000", "hex"));
    },
    doubt: ["partition 1", /crypto_LUKS/],
  },
  "the third superblock of an old btrfs (disko#1247)": {
    sizeMiB: 130,
    build: async (disk) => {
      await disk.mbr("2048,,83");
      await disk.volume(1, 129, "mkfs.btrfs", "-q", "-f");
      disk.ext4InOld(1, 129);
    },
    doubt: ["partition 1", /btrfs/],
  },
  "NTFS made over exFAT, with both still found (vermaden/scripts#3)": {
    build: async (disk) => {
      await disk.mbr("2048,47104,7");
      await disk.ntfs(1, 23);
      await disk.write(MIB + 3, "EXFAT   ");
    },
    doubt: ["partition 1", /as ntfs, as exfat/],
  },
  "a firmware array's description at the end of a disk with a table (rear#1540)": {
    build: async (disk) => {
      await disk.mbr("2048,45056,83");
      await disk.ext4(1, 22);
      await disk.write(-1024, "Intel Raid ISM Cfg Sig. 1.3.00");
    },
    doubt: ["disk", /isw_raid_member/],
  },
  "DDF on a disk with sectors of 4 KiB (mdadm#281)": {
    build: async (disk) => {
      await disk.mbr("2048,45056,83");
      await disk.ext4(1, 22);
      await disk.write(-4096, Buffer.from("de11de11", "hex"));
    },
    doubt: ["disk", /ddf_raid_member/],
  },
  "a Sun label on a former ext4 (libguestfs#346)": {
    build: async (disk) => {
      await disk.ext4(0, 24);
      await disk.write(508, Buffer.from("dabedabe", "hex"));
    },
    doubt: ["disk", /as sun, as ext4/],
  },
  "an unknown partition type": {
    build: async (disk) => {
      await disk.mbr("2048,47104,fb");
      await disk.ext4(1, 23);
    },
    doubt: ["partition 1", /type \(0xfb\) is not known/],
  },
  "a partition type that says LVM for an ext4": {
    build: async (disk) => {
      disk.gpt([1, 22, "8e00"]);
      await disk.ext4(1, 22);
    },
    doubt: ["partition 1", /\(Linux LVM\) contradicts its content \(ext4\)/],
  },
  "a partition type that says swap for an ext4": {
    build: async (disk) => {
      await disk.mbr("2048,47104,82");
      await disk.ext4(1, 23);
    },
    doubt: ["partition 1", /\(Linux swap\) contradicts its content \(ext4\)/],
  },
  "a volume that shows nothing at all": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
    },
    doubt: ["partition 1", /no known signature/],
  },
  "an old ext4 of which something else has taken a part": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
      await disk.ext4(1, 23);
      await disk.write(MIB + 8193 * 1024, Buffer.alloc(1024, "something else"));
    },
    doubt: ["partition 1", /copy of its superblock in group 1/],
  },
  "an ext4 whose journal says that it holds changes": {
    build: async (disk) => {
      await disk.mbr("2048,47104,83");
      await disk.ext4(1, 23);
      const image = await readFile(disk.path);
      const journal = image.indexOf(Buffer.from("c03b399800000004", "hex"));
      await disk.write(journal + 0x1c, Buffer.from([0, 0, 0, 1]));
    },
    doubt: ["partition 1", /journal is in use/],
  },
  "an NTFS that continues in another piece of the disk": {
    build: async (disk) => {
      await disk.mbr("2048,47104,7");
      await disk.ntfs(1, 23);
      await disk.write(-512, Buffer.alloc(512));
    },
    doubt: ["partition 1", /copy of its boot sector/],
  },
};

test.each(Object.entries(CASES))(
  "what can be read in more than one way is copied whole: %s",
  async (_, { sizeMiB = 24, build, doubt }) => {
    await inScratch(async (folder) => {
      const disk = await DiskInLayers.create(folder, sizeMiB);
      await build(disk);
      const usage = await usageOf(disk.path);
      const [place, reason] = doubt;
      expect(usage.doubts).toEqual([{ place, reason: expect.stringMatching(reason) }]);
      expect(totalBytes(usage.used)).toBe(usage.sizeBytes);
      expect(usage.volumes).toMatchObject([{ name: place, method: "everything" }]);
    });
  },
);

test("a hybrid MBR that agrees with the GPT, and a GPT that was grown or has lost its backup, are one reading", async () => {
  await inScratch(async (folder) => {
    const disk = await DiskInLayers.create(folder, 24);
    disk.gpt([1, 22, "8300"]);
    await disk.ext4(1, 22);
    const free = async () => {
      const usage = await usageOf(disk.path);
      expect(usage.doubts).toEqual([]);
      return usage.sizeBytes - totalBytes(usage.used);
    };
    const before = await free();
    expect(before).toBeGreaterThan(10 * MIB);
    await disk.write(entryOffset(2), entry(0x80, 0x83, 2048, 45_056));
    expect(await free()).toBe(before);
    tool("truncate", "--size", String(40 * MIB), disk.path);
    expect(await free()).toBe(before);
    await disk.write(-512, Buffer.alloc(512));
    expect(await free()).toBe(before);
  });
});

test("an EFI system partition made by mtools, whose boot sector lists the partition itself, is FAT and no doubt", async () => {
  await inScratch(async (folder) => {
    const disk = await DiskInLayers.create(folder, 64);
    disk.gpt([1, 40, "ef00"]);
    tool("mformat", "-i", `${disk.path}@@${MIB}`, "-T", String(40 * 2048), "::");
    const { doubts, volumes } = await usageOf(disk.path);
    expect(doubts).toEqual([]);
    expect(volumes).toMatchObject([{ content: { type: "vfat" }, method: "everything" }]);
  });
});
