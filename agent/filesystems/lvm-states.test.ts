/**
 * Volume groups in the middle of a change, or whose text on this disk is outdated; LVM itself writes them.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Extent, subtract, totalBytes } from "#shared/domain/extents.ts";
import { openFileReader } from "../disk/reader.ts";
import { readDiskUsage } from "./disk-usage.ts";
import { editLvmArea } from "./testing/lvm-area.ts";
import { inPhysicalVolume, type Lvm } from "./testing/physical-volume.ts";
import { createJunkImage, inScratch, isRoot, MIB, place, tool } from "./testing/test-image.ts";
import { type SectorUsage, usageOf } from "./testing/usage-of.ts";
import { toolWitness } from "./witness.ts";

const INACTIVE = ["-an", "-Zn", "-Wn"];

/**
 * Two disks of 64 MiB in one group with extents of 1 MiB; `root` is 20 MiB on the first, an almost empty
 * ext4.
 */
async function inGroup(
  run: (
    disks: [string, string],
    change: (act: (lvm: Lvm, devices: [string, string]) => unknown) => Promise<void>,
  ) => Promise<void>,
): Promise<void> {
  await inScratch(async (folder) => {
    const disks: [string, string] = [join(folder, "first"), join(folder, "second")];
    for (const disk of disks) await createJunkImage(disk, 64 * MIB);
    const change = async (act: (lvm: Lvm, devices: [string, string]) => unknown) => {
      await inPhysicalVolume(disks, act);
    };
    await change((lvm, [first, second]) => {
      lvm("vgcreate", "-q", "-s", "1M", "vg", first, second);
      lvm("lvcreate", "-q", ...INACTIVE, "-L", "20M", "-n", "root", "vg", first);
    });
    const root = join(folder, "root");
    await createJunkImage(root, 20 * MIB);
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-E", "nodiscard", root);
    place(root, disks[0], 1);
    await run(disks, change);
  });
}

/** How much of this stretch is left out. */
function skippedIn({ used }: SectorUsage, startMiB: number, sizeMiB: number): number {
  const stretch: Extent[] = [{ offset: startMiB * MIB, length: sizeMiB * MIB }];
  return totalBytes(subtract(stretch, used));
}

test.skipIf(!isRoot)(
  "a pvmove that was interrupted leaves the moved volume's extents used (lvm2#136)",
  async () => {
    await inGroup(async ([first, second], change) => {
      expect(skippedIn(await usageOf(first), 1, 20)).toBeGreaterThan(10 * MIB);
      await change((lvm, [from, to]) => {
        // It cannot move anything without a device mapper: the state that it has written stays.
        try {
          lvm("pvmove", "-n", "root", from, to);
        } catch {}
      });
      const [source, target] = [await usageOf(first), await usageOf(second)];
      expect(skippedIn(source, 1, 20)).toBe(0);
      expect(skippedIn(target, 1, 20)).toBe(0);
      // What belongs to no volume is still left out.
      expect(skippedIn(source, 21, 43)).toBe(43 * MIB);
    });
  },
);

test.skipIf(!isRoot)(
  "an ignored metadata area gives no information, so everything is used (lvm2#103)",
  async () => {
    await inGroup(async ([first], change) => {
      await change((lvm, [device]) => {
        lvm("pvchange", "--metadataignore", "y", "-y", device);
        lvm("lvcreate", "-q", ...INACTIVE, "-L", "20M", "-n", "later", "vg", device);
      });
      const usage = await usageOf(first);
      expect(totalBytes(usage.used)).toBe(usage.sizeBytes);
      expect(usage.doubts).toEqual([
        { place: "disk", reason: "its LVM metadata is kept on other disks only" },
      ]);
    });
  },
);

test.skipIf(!isRoot)(
  "a disk that came back with an older text is a doubt, because LVM knows a newer one",
  async () => {
    await inGroup(async ([first], change) => {
      const old = await readFile(first);
      await change((lvm, [device]) =>
        lvm("lvcreate", "-q", ...INACTIVE, "-L", "8M", "-n", "later", "vg", device),
      );
      const current = await readFile(first);
      const readings: unknown[] = [];
      for (const bytes of [current, old]) {
        await writeFile(first, bytes);
        await change(async (lvm) => {
          const run = async (command: string, ...args: string[]) => {
            const output = command === "vgs" ? lvm(command, ...args) : undefined;
            return output === undefined ? undefined : { status: 0, output };
          };
          const reader = await openFileReader(first);
          const usage = await readDiskUsage(reader, {
            consistent: true,
            witness: toolWitness({ run }, first),
          });
          await reader.close();
          readings.push(usage.doubts);
        });
      }
      const reason = "its LVM metadata is of state 2, that of its volume group is of state 3";
      expect(readings).toEqual([
        [{ place: "disk/later", reason: "it has no known signature" }],
        [{ place: "disk", reason }],
      ]);
    });
  },
);

test.skipIf(!isRoot)("of a striped volume every extent is used", async () => {
  await inGroup(async ([first, second], change) => {
    await change((lvm) => {
      lvm("lvcreate", "-q", ...INACTIVE, "-i", "2", "-L", "8M", "-n", "striped", "vg");
    });
    for (const [disk, before] of [
      [first, 20],
      [second, 0],
    ] as const) {
      const usage = await usageOf(disk);
      expect(usage.doubts.filter(({ place: name }) => name === "disk")).toEqual([]);
      // 4 MiB of it on each disk.
      expect(skippedIn(usage, 1 + before, 63 - before)).toBe((63 - before - 4) * MIB);
    }
  });
});

test.skipIf(!isRoot)("an exported group, and one that ran without this disk, are doubts", async () => {
  await inGroup(async ([first], change) => {
    const good = await readFile(first);
    await change((lvm) => lvm("vgexport", "-q", "vg"));
    expect((await usageOf(first)).doubts[0]?.reason).toContain("exported");
    await writeFile(first, good);
    await editLvmArea(first, {
      text: (text) => text.replace("flags = []\ndev_size", 'flags = ["MISSING"]\ndev_size'),
    });
    expect((await usageOf(first)).doubts[0]?.reason).toContain("has been without it");
  });
});

test.skipIf(!isRoot).each([
  [
    "an update was not finished",
    { header: (area: Buffer) => area.writeBigUInt64LE(4096n, 64) },
    "not finished",
  ],
  [
    "its area belongs elsewhere",
    { header: (area: Buffer) => area.writeBigUInt64LE(8192n, 24) },
    "belongs elsewhere",
  ],
  [
    "a segment's type is unknown",
    { text: (text: string) => text.replace('type = "striped"', 'type = "future"') },
    "layout",
  ],
  [
    "a segment's type is unknown, and it names no disk",
    {
      text: (text: string) =>
        text.replace(/type = "striped"\nstripe_count = 1[^\]]*\]/, 'type = "future"\nplace = 0'),
    },
    "layout",
  ],
  [
    "two volumes have the same name",
    { text: (text: string) => text.replace("root {", "root {\n}\n\nroot {") },
    "twice",
  ],
  [
    "a segment of a known type names a disk where it should not",
    { text: (text: string) => text.replace("stripe_count = 1", 'extra = ["pv0", 7]\nstripe_count = 1') },
    "layout",
  ],
  [
    "stripes do not share their extents evenly",
    { text: (text: string) => text.replace("stripe_count = 1", "stripe_count = 3") },
    "damaged",
  ],
  [
    "the text has another group",
    { text: (text: string) => `${text}\nother {\nid = "x"\n}\n` },
    "one volume group",
  ],
  [
    "a cluster shares the group",
    { text: (text: string) => text.replace("extent_size", 'lock_type = "sanlock"\nextent_size') },
    "shared",
  ],
] as const)("everything is used if %s", async (_, edit, reason) => {
  await inGroup(async ([first]) => {
    await editLvmArea(first, edit);
    const usage = await usageOf(first);
    expect(totalBytes(usage.used)).toBe(usage.sizeBytes);
    expect(usage.doubts).toEqual([{ place: "disk", reason: expect.stringContaining(reason) }]);
  });
});

test.skipIf(!isRoot)(
  "a volume that LVM is working on, or that has an unknown flag, counts as used",
  async () => {
    await inGroup(async ([first]) => {
      const good = await readFile(first);
      for (const status of ['"READ", "WRITE", "VISIBLE", "LOCKED"', '"READ", "WRITE", "VISIBLE", "FUTURE"']) {
        await writeFile(first, good);
        await editLvmArea(first, { text: (text) => text.replace('"READ", "WRITE", "VISIBLE"', status) });
        expect(skippedIn(await usageOf(first), 1, 20)).toBe(0);
      }
    });
  },
);

test.skipIf(!isRoot)(
  "a logical volume that holds a table, or two file systems, is copied whole and named",
  async () => {
    await inGroup(async ([first]) => {
      const image = await readFile(first);
      image.write("CD001", MIB + 32 * 1024 + 1, "latin1");
      await writeFile(first, image);
      const usage = await usageOf(first);
      expect(usage.doubts).toEqual([
        { place: "disk/root", reason: "it can be read in several ways: as ext4, as iso9660" },
      ]);
      expect(skippedIn(usage, 1, 20)).toBe(0);
      expect(skippedIn(usage, 21, 43)).toBe(43 * MIB);
    });
  },
);
