import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { isRoot, tool } from "../../filesystems/testing/test-image.ts";
import { readDeviceTree } from "./device-tree.ts";

/** A device over an image of 8 MiB, and an empty folder. */
function deviceAndFolder(): { device: string; folder: string } {
  const work = mkdtempSync(join(tmpdir(), "device-tree-"));
  const [image, folder] = [join(work, "image"), join(work, "mount")];
  writeFileSync(image, "");
  truncateSync(image, 8 * 2 ** 20);
  mkdirSync(folder);
  const device = tool("losetup", "--find", "--show", image).trim();
  onTestFinished(() => {
    tool("losetup", "--detach", device);
    rmSync(work, { recursive: true });
  });
  return { device, folder };
}

test.skipIf(!isRoot)("a loop device over another device is made of it", async () => {
  const { device } = deviceAndFolder();
  const upper = tool("losetup", "--find", "--show", device).trim();
  try {
    const tree = await readDeviceTree();
    const about = await tree.describe((await tree.numberOf(upper)) ?? "");
    expect(about?.parts).toEqual([await tree.numberOf(device)]);
    expect(about).not.toHaveProperty("backingFile");
  } finally {
    tool("losetup", "--detach", upper);
  }
});

test.skipIf(!isRoot)("a path leads to the file system that was mounted there last", async () => {
  const { device, folder } = deviceAndFolder();
  tool("mkfs.ext4", "-q", device);
  tool("mount", device, folder);
  try {
    const before = await readDeviceTree();
    expect(await before.deviceAt(folder)).toBe(await before.numberOf(device));
    tool("mount", "-t", "tmpfs", "tmpfs", folder);
    try {
      expect(await (await readDeviceTree()).deviceAt(folder)).toMatch(/^0:/);
      // It was read before there was such a mount.
      expect(await before.deviceAt(folder)).toBeUndefined();
    } finally {
      tool("umount", folder);
    }
  } finally {
    tool("umount", folder);
  }
});
