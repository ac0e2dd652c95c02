/** Which file systems are frozen for a copy of some disks, and in which order. */
import { expect, test } from "vitest";
import type { Mount } from "../../machine/mounts.ts";
import {
  type DeviceInTree,
  type DeviceTree,
  findHiddenVolumes,
  findVolumesToFreeze,
} from "./volumes-to-freeze.ts";

const disk = (kernelName: string): DeviceInTree => ({ kernelName, parts: [] });
const partition = (number: number, of: string): DeviceInTree => ({
  ...disk(`part${number}`),
  partition: { number, disk: of },
});

/** A server with LVM, encryption and an image of its own, as many are. */
const DEVICES: Readonly<Record<string, DeviceInTree>> = {
  "8:0": disk("sda"),
  "8:1": partition(1, "8:0"),
  "8:2": partition(2, "8:0"),
  "8:16": disk("sdb"),
  "8:17": partition(1, "8:16"),
  "253:0": { kernelName: "dm-0", parts: ["8:2"], mappedName: "vg-root" },
  "253:1": { kernelName: "dm-1", parts: ["8:2", "8:17"], mappedName: "vg-data" },
  "253:2": { kernelName: "dm-2", parts: ["253:1"], mappedName: "secret" },
  "9:0": { kernelName: "md0", parts: ["8:1", "8:17"] },
  "7:0": { kernelName: "loop0", parts: [], backingFile: "/srv/images/inner.raw" },
  "7:1": { kernelName: "loop1", parts: [], backingFile: "/mnt/inner/innermost.raw" },
};

function treeOf(
  mounts: readonly [device: string, mountPoint: string, more?: Partial<Mount>][],
  superblocks: DeviceTree["superblocks"] = [],
): DeviceTree {
  const all = mounts.map(([device, mountPoint, more]) => ({
    ...{ device, mountPoint, source: `/dev/${device}`, type: "ext4", isReadOnly: false },
    ...more,
  }));
  return {
    mounts: all,
    superblocks,
    numberOf: async (path) => (path.startsWith("/dev/") ? path.slice("/dev/".length) : undefined),
    // The last one mounted at a place hides the others.
    deviceAt: async (mountPoint) => all.findLast((mount) => mount.mountPoint === mountPoint)?.device,
    describe: async (device) => DEVICES[device],
  };
}

async function frozen(tree: DeviceTree, ...disks: string[]): Promise<string[]> {
  return (await findVolumesToFreeze(tree, disks)).map(({ name, mountPoint }) => `${mountPoint} ${name}`);
}

test("file systems on partitions and on what is made of them are found, the root last", async () => {
  const tree = treeOf([
    ["253:0", "/"],
    ["8:1", "/boot"],
    ["253:2", "/srv/data"],
    ["8:17", "/other"],
    ["0:5", "/proc", { source: "proc" }],
  ]);
  expect(await frozen(tree, "8:0")).toEqual(["/srv/data secret", "/boot partition 1", "/ vg-root"]);
  expect(await frozen(tree, "8:16")).toEqual(["/srv/data secret", "/other partition 1"]);
  expect(await frozen(tree, "8:32")).toEqual([]);
});

test("a file system in a file of another is frozen before it, however deep", async () => {
  const tree = treeOf([
    ["8:1", "/"],
    ["7:0", "/mnt/inner"],
    ["7:1", "/mnt/innermost"],
    ["8:2", "/srv/images/elsewhere"],
  ]);
  expect(await frozen(tree, "8:0")).toEqual([
    "/mnt/innermost disk",
    "/mnt/inner disk",
    "/srv/images/elsewhere partition 2",
    "/ partition 1",
  ]);
});

test("a file system is frozen once, by a mount point that leads to it", async () => {
  const tree = treeOf([
    ["8:1", "/hidden"],
    ["8:2", "/hidden"],
    ["8:1", "/bound"],
    ["8:1", "/bound/again"],
  ]);
  expect(await frozen(tree, "8:0")).toEqual(["/bound partition 1", "/hidden partition 2"]);
});

test("a file system with a number of its own, such as btrfs, is found by its source", async () => {
  const tree = treeOf([["0:31", "/", { source: "/dev/8:2", type: "btrfs" }]]);
  expect(await frozen(tree, "8:0")).toEqual(["/ partition 2"]);
});

test("an array over both disks belongs to each of them", async () => {
  const tree = treeOf([["9:0", "/"]]);
  expect(await frozen(tree, "8:0")).toEqual(["/ md0"]);
  expect(await frozen(tree, "8:16")).toEqual(["/ md0"]);
});

test("btrfs over several disks belongs to each of them, and is frozen once", async () => {
  const btrfs = { type: "btrfs", devices: ["8:2", "8:16"] };
  const mount = { source: "/dev/8:2", type: "btrfs" };
  const tree = treeOf(
    [
      ["0:31", "/", mount],
      ["0:31", "/home", mount],
    ],
    [btrfs],
  );
  expect(await frozen(tree, "8:0")).toEqual(["/ partition 2 and disk"]);
  expect(await frozen(tree, "8:16")).toEqual(["/ partition 2 and disk"]);
  expect(await frozen(tree, "8:0", "8:16")).toEqual(["/ partition 2 and disk"]);
});

test("a file system that the kernel has mounted, but at no place that can be seen, is hidden", async () => {
  const superblocks = [
    { type: "ext4", devices: ["8:1"] },
    { type: "xfs", devices: ["253:1"] },
    { type: "btrfs", devices: ["8:16"] },
  ];
  const tree = treeOf([["8:1", "/"]], superblocks);
  const volumes = await findVolumesToFreeze(tree, ["8:0"]);
  expect(await findHiddenVolumes(tree, ["8:0"], volumes)).toMatchObject([{ type: "xfs", name: "vg-data" }]);
});

test("a file system that others were mounted over is hidden, and never taken for the one that its path leads to", async () => {
  const btrfs = { source: "/dev/8:2", type: "btrfs" };
  const tree = treeOf([
    ["8:1", "/"],
    ["0:31", "/srv", btrfs],
    ["253:1", "/srv"],
    ["8:17", "/boot/efi", { type: "vfat" }],
    ["7:1", "/boot/efi", { type: "squashfs", isReadOnly: true }],
    ["253:1", "/boot/efi"],
  ]);
  const volumes = await findVolumesToFreeze(tree, ["8:0"]);
  expect(volumes.map(({ mountPoint, name }) => `${mountPoint} ${name}`)).toEqual([
    "/srv vg-data",
    "/ partition 1",
  ]);
  expect(await findHiddenVolumes(tree, ["8:0"], volumes)).toMatchObject([
    { type: "btrfs", name: "partition 2" },
  ]);
  const others = await findVolumesToFreeze(tree, ["8:16"]);
  expect(await findHiddenVolumes(tree, ["8:16"], others)).toMatchObject([
    { type: "vfat", name: "partition 1" },
  ]);
});
