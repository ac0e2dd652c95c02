/** The tracker's state: what outlives its processes, and what is refused. */
import { existsSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { TrackerFailedError, TrackingUnavailableError } from "#shared/errors.ts";
import { tool } from "../filesystems/testing/test-image.ts";
import { readDiskFacts } from "./disk-facts.ts";
import { pinFolderOf, TrackerHelper } from "./helper.ts";
import { kindOfDisk } from "./kind-of-disk.ts";
import { GRANULE_BYTES, PROGRAM, TrackedDisk, whyUntestable } from "./testing/tracked-disk.ts";

const reason = whyUntestable();

/** Writes one page at an offset of a device, past the page cache. */
const write = (device: string, offset: number) =>
  tool("xfs_io", "-d", "-c", `pwrite -q -S 9 ${offset} 4096`, device);

describe.skipIf(reason !== undefined)(`a tracker ${reason ? `(${reason})` : ""}`, () => {
  test("finds exactly the granules that were written", async () => {
    await using disk = await TrackedDisk.create({ fileSystem: "none" });
    for (const granule of [0, 7, 8, 300, 511]) write(disk.device, granule * GRANULE_BYTES + 8192);
    const { changed, status } = await disk.tracker.begin(disk.device);
    expect(changed.within(0, disk.copy.length)).toEqual([
      { offset: 0, length: GRANULE_BYTES },
      { offset: 7 * GRANULE_BYTES, length: 2 * GRANULE_BYTES },
      { offset: 300 * GRANULE_BYTES, length: GRANULE_BYTES },
      { offset: 511 * GRANULE_BYTES, length: GRANULE_BYTES },
    ]);
    expect(status).toMatchObject({ lost: 0, passthrough: 0, beyond: 0, unseenBytes: 0 });
  });

  test("finds what waited in memory once the file system is synchronised, and ignores mounts that are gone", async () => {
    await using disk = await TrackedDisk.create();
    await disk.tracker.sync([disk.mountPoint]);
    await disk.takeDelta();
    const MIB = 2 ** 20;
    tool("dd", "if=/dev/zero", `of=${disk.mountPoint}/file`, `bs=${MIB}`, "count=4", "status=none");
    await disk.tracker.sync([disk.mountPoint, `${disk.mountPoint}/no-such-mount`]);
    expect((await disk.takeDelta()).bytes).toBeGreaterThanOrEqual(4 * MIB);
    expect(await disk.differingAfterStillDelta()).toEqual([]);
  });

  test("returns again what a reader that died had found, until it is committed", async () => {
    await using disk = await TrackedDisk.create({ fileSystem: "none" });
    write(disk.device, 0);
    await disk.tracker.begin(disk.device);
    write(disk.device, 9 * GRANULE_BYTES);
    await disk.tracker.begin(disk.device);
    await disk.tracker.clear(disk.device);
    const { changed, status } = await disk.tracker.begin(disk.device);
    expect(changed.bytesWithin(0, disk.copy.length)).toBe(2 * GRANULE_BYTES);
    await disk.tracker.clear(disk.device);
    await disk.tracker.commit(disk.device, status.sequence);
    await disk.tracker.commit(disk.device, status.sequence);
    const next = await disk.tracker.begin(disk.device);
    expect(next.changed.bytesWithin(0, disk.copy.length)).toBe(0);
    expect(next.status.sequence).toBe(status.sequence + 1);
  });

  test("refuses a further pass before the one before is cleared, and a commit of another sequence", async () => {
    await using disk = await TrackedDisk.create({ fileSystem: "none" });
    write(disk.device, 0);
    const { status } = await disk.tracker.begin(disk.device);
    await expect(disk.tracker.swap(disk.device)).rejects.toThrow(TrackerFailedError);
    await expect(disk.tracker.commit(disk.device, status.sequence + 5)).rejects.toThrow(TrackerFailedError);
  });

  test("stays as it is when a disk is attached again, and starts again when the disk has grown", async () => {
    await using disk = await TrackedDisk.create({ fileSystem: "none" });
    const attach = () => disk.tracker.attach([{ path: disk.device, events: "request", identity: "test" }]);
    write(disk.device, 0);
    const [before] = await disk.tracker.status();
    const [again] = await attach();
    expect(again).toMatchObject({ generation: before?.generation, dirtyGranules: 1 });
    tool("truncate", "--size", "+1M", disk.image);
    tool("losetup", "--set-capacity", disk.device);
    const [grown] = await attach();
    expect(grown?.generation).not.toBe(before?.generation);
    expect(grown?.attachedBytes).toBe(disk.copy.length + 2 ** 20);
  });

  test("replaces the programs of another version, and starts again with the disks that those tracked", async () => {
    await using disk = await TrackedDisk.create({ fileSystem: "none" });
    const [before] = await disk.tracker.status();
    // Built from the same sources for another purpose: another version.
    const other = new TrackerHelper(PROGRAM, { pinFolder: disk.pinFolder });
    expect(await other.status()).toEqual([]);
    const [after] = await other.attach([{ path: disk.device, events: "request", identity: "test" }]);
    expect(after?.generation).not.toBe(before?.generation);
    write(disk.device, 0);
    expect((await other.begin(disk.device)).changed.bytes).toBe(GRANULE_BYTES);
    await expect(disk.tracker.begin(disk.device)).rejects.toThrow("no disk is tracked");
  });

  test("has each change for both of two agents on one machine, whichever commits first", async () => {
    await using disk = await TrackedDisk.create({ fileSystem: "none" });
    const pinFolders = ["one", "two"].map((name) => pinFolderOf(`${disk.image}.${name}`));
    const [one, two] = pinFolders.map((pinFolder) => new TrackerHelper(PROGRAM, { pinFolder })) as [
      TrackerHelper,
      TrackerHelper,
    ];
    const { device } = disk;
    const changed = async (tracker: TrackerHelper) => (await tracker.begin(device)).changed.bytes;
    try {
      for (const tracker of [one, two])
        await tracker.attach([{ path: device, events: "request", identity: "" }]);
      write(device, 0);
      expect(await changed(one)).toBe(GRANULE_BYTES);
      write(device, 9 * GRANULE_BYTES);
      expect(await changed(two)).toBe(2 * GRANULE_BYTES);
      for (const tracker of [two, one]) {
        await tracker.clear(device);
        await tracker.commit(device, 0);
      }
      expect([await changed(one), await changed(two)]).toEqual([GRANULE_BYTES, 0]);
    } finally {
      for (const tracker of [one, two]) await tracker.detach();
      for (const pinFolder of pinFolders) rmdirSync(pinFolder);
    }
  });

  test("forgets disks that were removed when another one is attached", async () => {
    await using disk = await TrackedDisk.create({ fileSystem: "none" });
    const attach = (path: string) => disk.tracker.attach([{ path, events: "request", identity: "" }]);
    const second = `${disk.image}.second`;
    writeFileSync(second, Buffer.alloc(2 ** 20));
    const removed = tool("losetup", "--find", "--show", second).trim();
    await attach(removed);
    expect(await disk.tracker.status()).toHaveLength(2);
    tool("losetup", "--detach", removed);
    const [after] = await attach(disk.device);
    expect(await disk.tracker.status()).toMatchObject([{ generation: after?.generation }]);
  });

  test("does not track partitions, nor what is no disk", async () => {
    await using disk = await TrackedDisk.create({ fileSystem: "none" });
    tool(
      "sh",
      "-c",
      `echo start=2048 | sfdisk -q --no-tell-kernel ${disk.device} && partx --add ${disk.device}`,
    );
    const attach = (path: string) => disk.tracker.attach([{ path, events: "request", identity: "" }]);
    try {
      await expect(attach(`${disk.device}p1`)).rejects.toThrow("is a partition");
      expect(kindOfDisk((await readDiskFacts(`${disk.device}p1`)) ?? never())).toHaveProperty("untracked");
      const before = (await disk.tracker.status())[0]?.marked ?? 0;
      // A write to a partition is a write to its disk.
      write(`${disk.device}p1`, 0);
      const [status] = await disk.tracker.status();
      expect(status?.marked).toBeGreaterThan(before);
    } finally {
      tool("partx", "--delete", disk.device);
    }
    await expect(attach("/dev/null")).rejects.toThrow("is not a block device");
    expect(kindOfDisk((await readDiskFacts(disk.device)) ?? never())).toEqual({ events: "request" });
  });

  test.skipIf(!existsSync("/sys/class/zram-control"))(
    "marks a disk without requests by its bios, each when it is queued and when it completes",
    async () => {
      const number = readFileSync("/sys/class/zram-control/hot_add", "utf8").trim();
      const device = `/dev/zram${number}`;
      const tracker = new TrackerHelper(PROGRAM, { pinFolder: `/sys/fs/bpf/causeway/zram-${process.pid}` });
      try {
        writeFileSync(`/sys/block/zram${number}/disksize`, "8388608");
        const kind = kindOfDisk((await readDiskFacts(device)) ?? never());
        expect(kind).toEqual({ events: "bio" });
        await tracker.attach([{ path: device, events: "bio", identity: "" }]);
        write(device, 5 * GRANULE_BYTES);
        const { changed, status } = await tracker.begin(device);
        expect(changed.within(0, 8388608)).toEqual([{ offset: 5 * GRANULE_BYTES, length: GRANULE_BYTES }]);
        expect(status).toMatchObject({ marked: 2, completed: 1, lost: 0 });
      } finally {
        await tracker.detach();
        rmdirSync(`/sys/fs/bpf/causeway/zram-${process.pid}`);
        writeFileSync("/sys/class/zram-control/hot_remove", number);
      }
    },
  );

  test("says so if its program is missing, or its output is cut off", async () => {
    const helper = (program: string) =>
      new TrackerHelper(program, { pinFolder: "/sys/fs/bpf/causeway/none" });
    await expect(helper("/does/not/exist").status()).rejects.toThrow(TrackingUnavailableError);
    await expect(helper("/bin/true").status()).rejects.toThrow("not whole");
    await expect(helper("/bin/echo").status()).rejects.toThrow("something unknown");
    const nothing = helper(PROGRAM);
    expect(await nothing.status()).toEqual([]);
    await expect(nothing.begin("/dev/loop0")).rejects.toThrow("no disk is tracked");
  });
});

function never(): never {
  throw new Error("the disk has no facts");
}
