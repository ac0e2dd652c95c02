import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isRoot, tool } from "../../filesystems/testing/test-image.ts";
import { readDeviceTree } from "./device-tree.ts";
import { findVolumesToFreeze } from "./volumes-to-freeze.ts";

/** What makes a file system on a device whose log is on another one, and mounts it in a folder. */
type WithLog = (device: string, log: string, folder: string) => void;

const xfs: WithLog = (device, log, folder) => {
  tool("mkfs.xfs", "-q", "-f", "-l", `logdev=${log},size=64m`, device);
  tool("mount", "-o", `logdev=${log}`, device, folder);
};

const ext4: WithLog = (device, log, folder) => {
  tool("mke2fs", "-q", "-b", "4096", "-O", "journal_dev", log);
  tool("mkfs.ext4", "-q", "-b", "4096", "-J", `device=${log}`, device);
  tool("mount", device, folder);
};

test.skipIf(!isRoot).each([
  ["xfs", xfs],
  ["ext4", ext4],
] as const)("%s whose log is on another disk is found from each of them", async (type, make) => {
  const folder = await mkdtemp(join(tmpdir(), "superblocks-"));
  const [mountPoint, devices] = [join(folder, "mount"), [] as string[]];
  try {
    for (const name of ["data", "log"]) {
      tool("truncate", "--size", "320M", join(folder, name));
      devices.push(tool("losetup", "--find", "--show", join(folder, name)).trim());
    }
    tool("mkdir", mountPoint);
    make(devices[0] ?? "", devices[1] ?? "", mountPoint);
    const tree = await readDeviceTree();
    for (const device of devices) {
      const number = (await tree.numberOf(device)) ?? "";
      expect(await findVolumesToFreeze(tree, [number])).toMatchObject([{ mountPoint, type, name: "disk" }]);
    }
  } finally {
    tool("sh", "-c", `umount ${mountPoint} || true; losetup --detach ${devices.join(" ")}`);
    await rm(folder, { recursive: true });
  }
});

test.skipIf(!isRoot)("btrfs over two disks is found from each of them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "superblocks-"));
  const devices: string[] = [];
  try {
    for (const name of ["a", "b"]) {
      tool("truncate", "--size", "128M", join(folder, name));
      devices.push(tool("losetup", "--find", "--show", join(folder, name)).trim());
    }
    tool("mkfs.btrfs", "-q", ...devices);
    tool("mkdir", join(folder, "mount"));
    tool("btrfs", "device", "scan", ...devices);
    tool("mount", devices[0] ?? "", join(folder, "mount"));
    const tree = await readDeviceTree();
    for (const device of devices) {
      const number = (await tree.numberOf(device)) ?? "";
      const mountPoint = join(folder, "mount");
      const volumes = await findVolumesToFreeze(tree, [number]);
      expect(volumes).toMatchObject([{ mountPoint, type: "btrfs", name: "disk" }]);
    }
  } finally {
    tool("sh", "-c", `umount ${join(folder, "mount")} || true; losetup --detach ${devices.join(" ")}`);
    await rm(folder, { recursive: true });
  }
});
