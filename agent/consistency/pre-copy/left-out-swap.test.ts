/** Swap space whose content is left out, and that becomes something else meanwhile, on a loop device. */
import { describe, expect, test } from "vitest";
import { addPartition, removePartition, tool } from "../../filesystems/testing/test-image.ts";
import { whyUntestable } from "../../tracking/testing/tracked-disk.ts";
import { LiveMachine } from "../testing/live-machine.ts";

const reason = whyUntestable();

describe.skipIf(reason !== undefined)(`swap space ${reason ? `(${reason})` : ""}`, () => {
  test("that becomes a mounted file system while it is left out marks the point, and the next one has all of it", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 32, fileSystem: "none" });
    const { device, mountPoint } = machine.disk;
    const partition = addPartition(device, "2048,40960,S");
    tool("mkswap", partition);
    tool("swapon", partition);
    let isSwap = true;
    machine.store.around = async ({ operation }, work) => {
      if (isSwap && operation === "put") {
        isSwap = false;
        tool("swapoff", partition);
        tool("mkfs.ext4", "-q", partition);
        tool("mount", partition, mountPoint);
        tool("sh", "-c", `date > ${mountPoint}/file`);
      }
      return work();
    };
    try {
      expect((await machine.take("rp_1")).disks).toMatchObject([
        { consistency: "not", viewReason: expect.stringContaining("swap space was taken out of use") },
      ]);
      expect((await machine.take("rp_2")).disks).toMatchObject([{ consistency: "file-system" }]);
      expect((await machine.restored("rp_2")).equals(await machine.frozen())).toBe(true);
    } finally {
      if (isSwap) tool("swapoff", partition);
      else tool("umount", mountPoint);
      removePartition(device);
    }
  });
});
