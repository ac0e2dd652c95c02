/**
 * Views of a disk whose metadata LVM itself wrote. The kernel of a test may have no device mapper: a loop
 * device stands for the active volume, and a file for its snapshot.
 */
import { copyFileSync } from "node:fs";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openDisk } from "../../disk/disk-source.ts";
import { readerOf } from "../../filesystems/source-reader.ts";
import { inPhysicalVolume } from "../../filesystems/testing/physical-volume.ts";
import { createJunkImage, inScratch, isRoot, MIB, tool } from "../../filesystems/testing/test-image.ts";
import { PendingHooks } from "../../hooks/pending-hooks.ts";
import type { LocalDisk, ViewRequest } from "../consistent-view.ts";
import { type DiskLayout, readDiskLayout, volumesOn } from "./disk-layout.ts";
import { KeptSnapshots } from "./kept-snapshots.ts";
import type { LvmState } from "./lvm.ts";
import { lvmSnapshotView } from "./lvm-snapshot.ts";
import { Snapshots } from "./snapshots.ts";
import { FakeLvm } from "./testing/fake-lvm.ts";

const REQUEST: ViewRequest = {
  ...{ pointId: "rp_1", allBlocks: false, allowInconsistent: false, parents: new Map() },
};

class MachineLvm extends FakeLvm {
  state: LvmState = { volumes: [], groups: [], physicalVolumes: [] };
  hasSnapshots = true;

  override async look(): Promise<LvmState | undefined> {
    const groupUuid = this.state.groups[0]?.uuid ?? "";
    const snapshots = this.volumes.map((one) => ({ ...one, groupUuid }));
    return this.isAnswering ? { ...this.state, volumes: [...this.state.volumes, ...snapshots] } : undefined;
  }

  override async canSnapshot(): Promise<boolean> {
    return this.hasSnapshots;
  }
}

interface Machine {
  lvm: MachineLvm;
  /** The disk's image. */
  image: string;
  layout: DiskLayout;
  disk: LocalDisk;
  view: ReturnType<typeof lvmSnapshotView>;
}

/** A disk that is one physical volume, with the active volume `root` and `other`, which is not active. */
async function withMachine(run: (machine: Machine) => Promise<void>): Promise<void> {
  await inScratch(async (folder) => {
    const [image, root] = [join(folder, "disk"), join(folder, "root")];
    await createJunkImage(image, 64 * MIB);
    await inPhysicalVolume([image], (lvm, [device]) => {
      lvm("vgcreate", "-q", "-s", "1M", "vg0", device);
      for (const name of ["root", "other"])
        lvm("lvcreate", "-q", "-an", "-Zn", "-Wn", "-L", "20M", "-n", name, "vg0");
    });
    const source = await openDisk(image);
    const layout = await readDiskLayout(readerOf(source), source.sectorBytes);
    await source.close();
    const [segment] = volumesOn(layout).find(({ name }) => name === "root")?.segments ?? [];
    const { offset = 0, length = 0 } = segment ?? {};
    await writeFile(root, (await readFile(image)).subarray(offset, offset + length));
    const devices = [image, root].map((path) => tool("losetup", "--find", "--show", path).trim());
    try {
      const lvm = new MachineLvm([], {
        pathOf: () => {
          copyFileSync(root, `${root}-snapshot`);
          return `${root}-snapshot`;
        },
      });
      lvm.state = stateOf(layout, devices);
      const snapshots = new Snapshots({
        ...{ lvm, kept: new KeptSnapshots(folder), now: Date.now, newId: () => "1", pausesMs: [] },
        flush: () => lvm.flush(),
      });
      const log = { info: () => {}, warn: () => {}, error: () => {} };
      const hooks = { folder: join(folder, "hooks"), pending: new PendingHooks(folder), log };
      const view = lvmSnapshotView({ lvm, snapshots, machine: { run: async () => undefined }, hooks });
      await run({ lvm, image, layout, view, disk: { name: "sda", path: devices[0] ?? "", isStill: false } });
    } finally {
      for (const device of devices) tool("losetup", "--detach", device);
    }
  });
}

function stateOf({ parts }: DiskLayout, [disk = "", root = ""]: string[]): LvmState {
  const physical = parts[0]?.physicalVolume ?? expect.unreachable();
  const { uuid, group } = physical;
  return {
    volumes: physical.volumes.map(({ name, uuid: own }) => ({
      ...{ group: "vg0", groupUuid: group.uuid, name, uuid: own, sizeBytes: 20 * MIB },
      ...{ layout: "linear", roles: ["public"], tags: [], isSuspended: false, path: root },
      ...(name === "root" ? { device: tool("lsblk", "-dno", "MAJ:MIN", root).trim() } : {}),
    })),
    groups: [
      { name: "vg0", uuid: group.uuid, extentBytes: MIB, freeBytes: 23 * MIB, sequence: group.sequence },
    ],
    physicalVolumes: [{ uuid, path: disk }],
  };
}

const obstacleOf = async ({ view, disk }: Machine) => (await view.obstacles([disk])).get("sda");

test.skipIf(!isRoot)(
  "a disk is read as of its snapshots, whatever is written to it, and they are removed afterwards",
  async () => {
    await withMachine(async (machine) => {
      const { view, disk, lvm, image, layout } = machine;
      const before = await readFile(image);
      expect(await obstacleOf(machine)).toBeUndefined();
      const opened = await view.open([disk], REQUEST);
      expect(lvm.snapshots.size).toBe(1);
      const [root] = volumesOn(layout).filter(({ name }) => name === "root");
      await using file = await open(image, "r+");
      for (const { offset, length } of root?.segments ?? [])
        await file.write(Buffer.alloc(length), 0, length, offset);
      await file.sync();
      const [shown] = opened.disks;
      if (!shown?.used) return expect.unreachable();
      const bytes = await readerOf(shown.source).read(0, shown.source.sizeBytes);
      for (const { offset, length } of shown.used.within(0, bytes.length))
        expect(
          Buffer.compare(bytes.subarray(offset, offset + length), before.subarray(offset, offset + length)),
        ).toBe(0);
      // Metadata and both volumes; nothing is known of free space in them.
      expect(shown.used.bytesWithin(0, bytes.length)).toBeGreaterThanOrEqual(40 * MIB);
      expect(shown.used.bytesWithin(0, bytes.length)).toBeLessThan(43 * MIB);
      expect(await shown.copy()).toMatchObject({
        consistency: "crash",
        volumes: [{ name: "vg0/root", consistency: "crash" }],
      });
      expect(shown.remark?.()).toBe("vg0/root was not frozen");
      expect(opened.frozen).toEqual({ from: expect.any(String), until: expect.any(String) });
      await opened.close();
      expect(lvm.snapshots.size).toBe(0);
    });
  },
);

test.skipIf(!isRoot)(
  "the snapshots by which a disk is being read are no obstacle to the next point",
  async () => {
    await withMachine(async (machine) => {
      const { view, disk, lvm } = machine;
      const opened = await view.open([disk], REQUEST);
      const { state } = lvm;
      const volumes = state.volumes.map((one) => ({ ...one, roles: ["public", "origin"] }));
      lvm.state = { ...state, volumes, groups: state.groups.map((one) => ({ ...one, freeBytes: 0 })) };
      expect(await obstacleOf(machine)).toBeUndefined();
      const [left] = lvm.volumes;
      await opened.close();
      lvm.state = state;
      expect(await obstacleOf(machine)).toBeUndefined();
      // One that is left behind is an obstacle.
      if (left) lvm.volumes.push(left);
      lvm.state = { ...state, volumes };
      expect(await obstacleOf(machine)).toContain("Causeway's own snapshot vg0/causeway_1 is still there");
    });
  },
);

test.skipIf(!isRoot)("a snapshot that fills up gives no copy, and is removed", async () => {
  await withMachine(async ({ view, disk, lvm }) => {
    const opened = await view.open([disk], REQUEST);
    lvm.lost.add([...lvm.snapshots.keys()][0] ?? "");
    await expect(opened.disks[0]?.copy()).rejects.toMatchObject({ name: "SnapshotLostError" });
    await opened.close();
    expect(lvm.snapshots.size).toBe(0);
  });
});

test.skipIf(!isRoot)("if a volume is activated while it is read, the disk is not consistent", async () => {
  await withMachine(async ({ view, disk, lvm }) => {
    const opened = await view.open([disk], REQUEST);
    lvm.state = { ...lvm.state, volumes: lvm.state.volumes.map((one) => ({ device: "254:7", ...one })) };
    expect(await opened.disks[0]?.copy()).toMatchObject({ consistency: "not" });
    expect(opened.disks[0]?.remark?.()).toContain("vg0/other was activated while it was read");
    await opened.close();
  });
});

test.skipIf(!isRoot)("a machine where snapshots cannot be made says why", async () => {
  await withMachine(async (machine) => {
    const { lvm } = machine;
    const { state } = lvm;
    const [group] = state.groups;
    const withGroup = (change: object) => {
      lvm.state = group ? { ...state, groups: [{ ...group, ...change }] } : state;
    };
    withGroup({ freeBytes: MIB });
    expect(await obstacleOf(machine)).toContain("vg0 has no room for snapshots");
    withGroup({ obstacle: "several machines share it" });
    expect(await obstacleOf(machine)).toBe(
      "its volume group vg0 cannot be changed: several machines share it",
    );
    withGroup({ sequence: 99 });
    expect(await obstacleOf(machine)).toBe("its LVM metadata is not that of its volume group vg0");
    lvm.state = {
      ...state,
      physicalVolumes: state.physicalVolumes.map((one) => ({ ...one, path: "/dev/null" })),
    };
    expect(await obstacleOf(machine)).toBe("LVM uses /dev/null in its place");
    const withVolumes = (change: object) => {
      lvm.state = { ...state, volumes: state.volumes.map((one) => ({ ...one, ...change })) };
    };
    withVolumes({ roles: ["public", "origin"] });
    expect(await obstacleOf(machine)).toContain("is a snapshot, or has one already");
    lvm.addSnapshot("root", "causeway_1");
    expect(await obstacleOf(machine)).toContain("Causeway's own snapshot vg0/causeway_1 is still there");
    lvm.volumes.pop();
    withVolumes({ layout: "raid,raid1" });
    expect(await obstacleOf(machine)).toContain("of a kind that was not tried (raid,raid1)");
    withVolumes({ isSuspended: true });
    expect(await obstacleOf(machine)).toContain("is suspended");
    withVolumes({ device: undefined });
    expect(await obstacleOf(machine)).toBe("none of its logical volumes is in use");
    lvm.state = state;
    lvm.hasSnapshots = false;
    expect(await obstacleOf(machine)).toBe("the kernel has no snapshots (dm-snapshot)");
    lvm.isAnswering = false;
    expect(await obstacleOf(machine)).toBe("it has no LVM");
  });
});

test.skipIf(!isRoot)("a volume that must not be seen twice is an obstacle", async () => {
  await withMachine(async (machine) => {
    const [root] = machine.lvm.state.volumes;
    tool("mkfs.btrfs", "--quiet", "--force", "--mixed", root?.path ?? "");
    expect(await obstacleOf(machine)).toBe(
      "its logical volume vg0/root holds btrfs, which must not be seen twice",
    );
  });
});
