/** Recovery points of a disk that is another one than at the last point: grown, shrunk or replaced. */
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MIB, tool } from "../../filesystems/testing/test-image.ts";
import { whyUntestable } from "../../tracking/testing/tracked-disk.ts";
import { LiveMachine } from "../testing/live-machine.ts";

const reason = whyUntestable();

describe.skipIf(reason !== undefined)(`a tracked disk ${reason ? `(${reason})` : ""}`, () => {
  test("that grew between two points, with its file system, is scanned and copied at its new size", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 16 });
    const { device, image, mountPoint } = machine.disk;
    for (const pointId of ["rp_1", "rp_2"]) await machine.take(pointId);
    truncateSync(image, 48 * MIB);
    tool("losetup", "--set-capacity", device);
    tool("umount", mountPoint);
    tool("e2fsck", "-fp", device);
    tool("resize2fs", device);
    tool("mount", device, mountPoint);
    tool("sh", "-c", `head -c 20000000 /dev/urandom > ${mountPoint}/data`);
    const { disks } = await machine.take("rp_3");
    expect(disks).toMatchObject([{ sizeBytes: 48 * MIB, mode: "hash-scan", consistency: "file-system" }]);
    expect(disks[0]?.modeReason).toBe("its size has changed since the last recovery point");
    const restored = await machine.restored("rp_3");
    expect(restored.equals(await machine.frozen())).toBe(true);
    expect(await machine.faultsOf(restored)).toBe("");
    expect((await machine.take("rp_4")).disks).toMatchObject([{ mode: "tracked" }]);
    expect((await machine.restored("rp_4")).equals(await machine.frozen())).toBe(true);
  }, 60_000);

  test.each([
    ["of the same size", 16],
    ["that is smaller", 8],
  ])(
    "whose name another one %s has now is scanned, and the point has that one's bytes",
    async (_, sizeMiB) => {
      await using machine = await LiveMachine.start({ sizeMiB: 16, fileSystem: "none" });
      const { device, image } = machine.disk;
      tool("dd", "if=/dev/urandom", `of=${device}`, "bs=1M", "count=16", "oflag=direct", "status=none");
      for (const pointId of ["rp_1", "rp_2"]) await machine.take(pointId);
      const other = join(image, "../other.raw");
      writeFileSync(other, Buffer.alloc(sizeMiB * MIB, 7));
      onTestFinished(() => rmSync(other, { force: true }));
      await machine.disk.replaceBy(other);
      const { disks } = await machine.take("rp_3");
      expect(disks).toMatchObject([{ sizeBytes: sizeMiB * MIB, mode: "hash-scan", trackerDisagreements: 0 }]);
      expect((await machine.restored("rp_3")).equals(Buffer.alloc(sizeMiB * MIB, 7))).toBe(true);
      expect((await machine.take("rp_4")).disks).toMatchObject([{ mode: "tracked" }]);
    },
    60_000,
  );
});
