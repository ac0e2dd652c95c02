/** Disks whose metadata LVM itself writes; snapshots are what the volumes contained before. */
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type DiskSource, openDisk } from "../../disk/disk-source.ts";
import { readerOf } from "../../filesystems/source-reader.ts";
import { inPhysicalVolume, type Lvm } from "../../filesystems/testing/physical-volume.ts";
import {
  createJunkImage,
  inScratch,
  isRoot,
  MIB,
  place,
  tool,
} from "../../filesystems/testing/test-image.ts";
import type { DeviceTree } from "../pre-copy/volumes-to-freeze.ts";
import { freeExtentsOn, metadataOn, readDiskLayout, volumesOn } from "./disk-layout.ts";
import type { LiveVolume } from "./lvm.ts";
import { SnapshotDisk } from "./snapshot-disk.ts";
import type { SurveyedDisk } from "./survey.ts";

const INACTIVE = ["-an", "-Zn", "-Wn"];
const PARTITION_MIB = 8;
const SWAP = "254:9";
const ALL = { allBlocks: true, machine: { run: async () => undefined } };
const tree: DeviceTree = {
  ...{ mounts: [], superblocks: [] },
  ...{ numberOf: async () => undefined, deviceAt: async () => undefined, describe: async () => undefined },
};

interface Machine {
  /** The first has a partition table, with a physical volume in its second partition; the other is one. */
  disks: [string, string];
  /** Changes the volume group with LVM's own tools. */
  change: (act: (lvm: Lvm, devices: [string, string]) => unknown) => Promise<void>;
}

/** One group over two disks: `root` on both, `data`, and `swap`. */
async function withMachine(run: (machine: Machine) => Promise<void>): Promise<void> {
  await inScratch(async (folder) => {
    const volumes: [string, string] = [join(folder, "first-volume"), join(folder, "second")];
    const first = join(folder, "first");
    for (const path of volumes) await createJunkImage(path, 64 * MIB);
    await createJunkImage(first, 80 * MIB);
    tool("sgdisk", "--zap-all", first);
    tool("sgdisk", "--new=1:2M:+4M", "--typecode=1:8300", "--new=2:8M:+64M", "--typecode=2:8e00", first);
    const change: Machine["change"] = async (act) => {
      await inPhysicalVolume(volumes, act);
      place(volumes[0], first, PARTITION_MIB);
    };
    await change((lvm, [one, two]) => {
      lvm("vgcreate", "-q", "-s", "1M", "vg-0", one, two);
      lvm("lvcreate", "-q", ...INACTIVE, "-L", "10M", "-n", "root", "vg-0", one);
      lvm("lvcreate", "-q", ...INACTIVE, "-L", "6M", "-n", "data", "vg-0", one);
      lvm("lvextend", "-q", "-L", "+10M", "vg-0/root", two);
      lvm("lvcreate", "-q", ...INACTIVE, "-L", "4M", "-n", "swap", "vg-0", two);
    });
    await run({ disks: [first, volumes[1]], change });
  });
}

async function survey(path: string): Promise<SurveyedDisk> {
  const source = await openDisk(path);
  const layout = await readDiskLayout(readerOf(source), source.sectorBytes);
  await source.close();
  const volumes = volumesOn(layout).map((onDisk) => {
    const { groupName: group, groupUuid, name, uuid } = onDisk;
    const live: LiveVolume = {
      ...{ group, groupUuid, name, uuid, sizeBytes: 0, layout: "linear", roles: [], tags: [] },
      ...{ isSuspended: false, path: "", device: name === "swap" ? SWAP : "254:1" },
    };
    return { onDisk, live };
  });
  return { disk: { name: path, path, isStill: false }, device: "8:0", layout, volumes, direct: [] };
}

const openOne = async (path: string) =>
  SnapshotDisk.open(await survey(path), { tree, swaps: [SWAP], open: [] });

/** What the volumes of these disks contain, as files beside the disks, by their uuids. */
async function contentsOf(machine: Machine): Promise<Map<string, DiskSource>> {
  const files = new Map<string, string>();
  for (const path of machine.disks) {
    const bytes = await readFile(path);
    for (const { uuid, name, segments = [] } of volumesOn((await survey(path)).layout)) {
      if (name === "swap") continue;
      const file = files.get(uuid) ?? join(path, `../content-of-${name}`);
      files.set(uuid, file);
      await using target = await open(file, "a+").then((created) =>
        created.close().then(() => open(file, "r+")),
      );
      for (const { offset, length, volumeOffset } of segments)
        await target.write(bytes, offset, length, volumeOffset);
    }
  }
  const sources = new Map<string, DiskSource>();
  for (const [uuid, file] of files) sources.set(uuid, await openDisk(file));
  return sources;
}

test.skipIf(!isRoot)(
  "the disk is as it was before the snapshots, with its LVM metadata from then, whatever is written meanwhile",
  async () => {
    await withMachine(async (machine) => {
      const before = await Promise.all(machine.disks.map((path) => readFile(path)));
      const opened = await Promise.all(machine.disks.map(openOne));
      const contents = await contentsOf(machine);
      // The volumes get other content, and LVM's metadata another volume.
      await machine.change((lvm, [first]) =>
        lvm("lvcreate", "-q", ...INACTIVE, "-L", "6M", "-n", "later", "vg-0", first),
      );
      const junk = join(machine.disks[0], "../junk");
      await createJunkImage(junk, 20 * MIB);
      for (const [at, path] of machine.disks.entries()) {
        await using disk = await open(path, "r+");
        const bytes = await readFile(junk);
        for (const { name, segments = [] } of volumesOn((await survey(path)).layout))
          for (const { offset, length, volumeOffset } of name === "later" ? [] : segments)
            await disk.write(bytes, volumeOffset, length, offset);
        const now = await readFile(path);
        expect(now.equals(before[at] ?? now)).toBe(false);
      }
      for (const [at, disk] of opened.entries()) {
        await disk.requireUnmoved();
        const composed = disk.compose(contents, async () => {});
        const bytes = await readerOf(composed).read(0, composed.sizeBytes);
        const { used } = await disk.usageOf(composed, ALL);
        const expected = before[at] ?? expect.unreachable();
        for (const { offset, length } of used.within(0, composed.sizeBytes))
          expect(
            Buffer.compare(
              bytes.subarray(offset, offset + length),
              expected.subarray(offset, offset + length),
            ),
          ).toBe(0);
        const { layout } = disk.found;
        for (const { offset, length } of metadataOn(layout))
          expect(used.bytesWithin(offset, length)).toBe(length);
        for (const { offset, length } of freeExtentsOn(layout))
          expect(used.bytesWithin(offset, length)).toBe(0);
        await disk.close();
      }
      for (const source of contents.values()) await source.close();
    });
  },
);

test.skipIf(!isRoot)("of swap space on a logical volume only the header is copied", async () => {
  await withMachine(async ({ disks: [, path] }) => {
    const disk = await openOne(path);
    const [swap] = volumesOn(disk.found.layout).filter(({ name }) => name === "swap");
    const [place] = swap?.segments ?? [];
    const { used } = await disk.usageOf(
      disk.compose(new Map(), async () => {}),
      ALL,
    );
    expect(place?.length).toBe(4 * MIB);
    expect(used.bytesWithin(place?.offset ?? 0, 4 * MIB)).toBe(65_536);
    await disk.close();
  });
});

test.skipIf(!isRoot)("a volume that LVM extends while the snapshots are made is noticed", async () => {
  await withMachine(async ({ disks: [path], change }) => {
    const disk = await openOne(path);
    await change((lvm) => lvm("lvextend", "-q", "-L", "+1M", "vg-0/data"));
    await expect(disk.requireUnmoved()).rejects.toMatchObject({
      ...{ name: "LvmFailedError", details: { code: "changed" } },
    });
    await disk.close();
  });
});

test.skipIf(!isRoot)("a striped volume is no plain copy of its bytes on the disk", async () => {
  await withMachine(async ({ disks: [path], change }) => {
    await change((lvm) => lvm("lvcreate", "-q", ...INACTIVE, "-i", "2", "-L", "4M", "-n", "striped", "vg-0"));
    const { layout } = await survey(path);
    const kinds = volumesOn(layout).map(({ name, segments }) => [name, segments !== undefined]);
    expect(Object.fromEntries(kinds)).toEqual({ root: true, data: true, striped: false });
  });
});

test.skipIf(!isRoot)("a table or boot loader that changes beside the volumes is noticed", async () => {
  await withMachine(async ({ disks: [path] }) => {
    const disk = await openOne(path);
    expect(await disk.directly.changed()).toEqual([]);
    await using file = await open(path, "r+");
    await file.write(Buffer.from("GRUB"), 0, 4, 1024 * 1024);
    expect(await disk.directly.changed()).toEqual([
      "its partition table or boot loader changed while it was read",
    ]);
    await disk.close();
  });
});
