import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isRoot, tool } from "../../filesystems/testing/test-image.ts";
import { readDeviceTree } from "./device-tree.ts";
import { findVolumesToFreeze } from "./volumes-to-freeze.ts";

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
