import { expect, test } from "vitest";
import type { DeviceInTree, DeviceTree } from "../pre-copy/volumes-to-freeze.ts";
import { obstacleOutside } from "./outside.ts";

const DISK = "8:0";
const ROOT = "254:0";
const volumes = new Set([ROOT, "254:1"]);
/** A disk with three partitions, of which the third has two logical volumes, and a second disk. */
const devices: Record<string, DeviceInTree> = {
  "8:0": { kernelName: "sda", parts: [] },
  "8:1": { kernelName: "sda1", parts: [], partition: { number: 1, disk: DISK } },
  "8:2": { kernelName: "sda2", parts: [], partition: { number: 2, disk: DISK } },
  "8:3": { kernelName: "sda3", parts: [], partition: { number: 3, disk: DISK } },
  "8:16": { kernelName: "sdb", parts: [] },
  "254:0": { kernelName: "dm-0", parts: ["8:3"], mappedName: "vg0-root" },
  "254:1": { kernelName: "dm-1", parts: ["8:3"], mappedName: "vg0-crypt" },
  // Of an encrypted volume on LVM, and of an encrypted partition.
  "254:2": { kernelName: "dm-2", parts: ["254:1"], mappedName: "secret" },
  "254:3": { kernelName: "dm-3", parts: ["8:2"], mappedName: "other" },
  "7:0": { kernelName: "loop0", parts: [], backingFile: "/images/one" },
};

const mount = (device: string, mountPoint: string) => ({
  ...{ device, mountPoint, source: "", type: "ext4", isReadOnly: false },
});
const root = mount(ROOT, "/");

function treeOf(mounts: DeviceTree["mounts"], superblocks: DeviceTree["superblocks"] = []): DeviceTree {
  return {
    ...{ mounts, superblocks, numberOf: async () => undefined, deviceAt: async () => undefined },
    describe: async (device) => devices[device],
  };
}

const obstacle = (
  tree: DeviceTree,
  more: { swaps?: string[]; open?: { device: string; program: string }[] } = {},
) => obstacleOutside(DISK, volumes, { tree, swaps: [], open: [], ...more });

test.each([
  ["only logical volumes are mounted", [root]],
  ["a partition is mounted for the boot loader", [root, mount("8:2", "/boot"), mount("8:1", "/boot/efi")]],
  ["an encrypted volume is on a logical volume", [root, mount("254:2", "/secret")]],
  ["a file on a logical volume is mounted", [root, mount("7:0", "/mnt")]],
  ["a file system is on another disk", [root, mount("8:16", "/other")]],
])("there is no obstacle if %s", async (_, mounts) => {
  expect(await obstacle(treeOf(mounts))).toBeUndefined();
});

test("a mounted partition that is not the boot loader's is an obstacle, and is named", async () => {
  expect(await obstacle(treeOf([root, mount("8:2", "/srv")]))).toBe(
    "partition 2 (/srv) is not on a logical volume",
  );
});

test("a file system on an encrypted partition is an obstacle, also at /boot", async () => {
  expect(await obstacle(treeOf([root, mount("254:3", "/boot")]))).toContain("other (/boot)");
});

test("a mounted partition that no process shows is an obstacle", async () => {
  const hidden = [{ type: "ext4", devices: ["8:2"] }];
  expect(await obstacle(treeOf([root], hidden))).toContain("mounted where the agent cannot see it");
});

test("swap space may be a partition or a logical volume, and nothing else", async () => {
  const tree = treeOf([root]);
  expect(await obstacle(tree, { swaps: ["8:1", "254:1"] })).toBeUndefined();
  expect(await obstacle(tree, { swaps: ["254:3"] })).toContain("swap space on other");
});

test("a program may write to a logical volume by itself, but not to a partition", async () => {
  const tree = treeOf([root]);
  expect(await obstacle(tree, { open: [{ device: "254:1", program: "postgres" }] })).toBeUndefined();
  expect(await obstacle(tree, { open: [{ device: "8:2", program: "oracle" }] })).toContain(
    "oracle writes to partition 2",
  );
});
