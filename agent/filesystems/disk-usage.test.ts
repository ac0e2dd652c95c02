import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { diskUsageOf } from "./disk-usage.ts";
import {
  addPartition,
  createSparse,
  inScratch,
  isRoot,
  MIB,
  removePartition,
  tool,
} from "./testing/test-image.ts";

const noTools = { run: async () => undefined };

test.skipIf(!isRoot)(
  "what was written through a partition counts as used, also if a program has the disk open all the time",
  async () => {
    await inScratch(async (folder) => {
      const [image, mountPoint] = [join(folder, "disk"), join(folder, "mount")];
      await mkdir(mountPoint);
      createSparse(image, 66);
      const device = tool("losetup", "--find", "--show", image).trim();
      const partition = addPartition(device, "2048,131072,L");
      const monitor = await open(device, "r");
      try {
        tool("mkfs.ext4", "-q", partition);
        const usedBytes = async () =>
          (await diskUsageOf(device, noTools)).volumes.reduce((sum, volume) => sum + volume.usedBytes, 0);
        const before = await usedBytes();
        expect(before).toBeLessThan(32 * MIB);
        // As the inventory reads it.
        tool("dd", `if=${device}`, "of=/dev/null", "bs=1M");
        tool("mount", partition, mountPoint);
        await writeFile(join(mountPoint, "file"), Buffer.alloc(20 * MIB, 7));
        tool("umount", mountPoint);
        expect(await usedBytes()).toBeGreaterThanOrEqual(before + 20 * MIB);
      } finally {
        await monitor.close();
        removePartition(device);
        tool("losetup", "--detach", device);
      }
    });
  },
);
