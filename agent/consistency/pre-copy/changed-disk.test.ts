/** Recovery points of a disk that is another one than at the last point, and while others come and go. */
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

  test("that grows while it is copied has a point that is marked, and is scanned at its new size by the next run", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 32 });
    const { device, image, mountPoint } = machine.disk;
    await machine.take("rp_1");
    // So much that it is stored before the freeze.
    tool("sh", "-c", `head -c 10000000 /dev/urandom > ${mountPoint}/data; sync -f ${mountPoint}`);
    let hasGrown = false;
    machine.store.around = async ({ operation }, work) => {
      if (!hasGrown && operation === "put") {
        hasGrown = true;
        truncateSync(image, 48 * MIB);
        tool("losetup", "--set-capacity", device);
      }
      return work();
    };
    const { disks } = await machine.take("rp_2");
    expect(disks).toMatchObject([
      { consistency: "not", viewReason: expect.stringContaining("the disk's size changed") },
    ]);
    expect((await machine.take("rp_3")).disks).toMatchObject([
      { sizeBytes: 48 * MIB, mode: "hash-scan", consistency: "file-system" },
    ]);
    expect((await machine.restored("rp_3")).equals(await machine.frozen())).toBe(true);
    expect((await machine.take("rp_4")).disks).toMatchObject([{ mode: "tracked" }]);
  });

  test("is read by its changes while another one is added, which is read whole first, and removed again", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 16 });
    const [own] = await machine.deps.disks();
    if (!own) throw new Error("the machine has no disk");
    await machine.take("rp_1");
    const content = Buffer.alloc(8 * MIB, 5);
    const image = join(machine.disk.image, "../added.raw");
    writeFileSync(image, content);
    const added = tool("losetup", "--find", "--show", image).trim();
    machine.deps.disks = async () => [own, { name: "sdb", path: added, isStill: false }];
    const [both, first] = [["sda", "sdb"], "this is its first copy"];
    expect((await machine.take("rp_2", { disks: both })).disks).toMatchObject([
      { name: "sda", mode: "tracked", consistency: "file-system" },
      { name: "sdb", mode: "hash-scan", modeReason: first, consistency: "crash" },
    ]);
    expect((await machine.restored("rp_2", "sdb")).equals(content)).toBe(true);
    tool("xfs_io", "-d", "-c", "pwrite -q -S 9 65536 4096", added);
    content.fill(9, 65_536, 65_536 + 4096);
    const { disks } = await machine.take("rp_3", { disks: both });
    expect(disks).toMatchObject([{ mode: "tracked" }, { mode: "tracked", changedBytes: 65_536 }]);
    expect((await machine.restored("rp_3", "sdb")).equals(content)).toBe(true);
    tool("losetup", "--detach", added);
    machine.deps.disks = async () => [own];
    await expect(machine.take("rp_4", { disks: both })).rejects.toMatchObject({ name: "DiskNotFoundError" });
    expect(await machine.points()).toEqual(["rp_1", "rp_2", "rp_3"]);
    expect((await machine.take("rp_4")).disks).toMatchObject([{ name: "sda", mode: "tracked" }]);
    expect((await machine.restored("rp_4")).equals(await machine.frozen())).toBe(true);
  });
});
