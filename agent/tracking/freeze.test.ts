/** The frozen read: it never leaves a file system frozen, whatever process dies. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { basename } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { tool, toolOutput } from "../filesystems/testing/test-image.ts";
import { DelayedWrites } from "./testing/delayed-writes.ts";
import { FAULTY_PROGRAM, TrackedDisk, whyUntestable } from "./testing/tracked-disk.ts";

const reason = whyUntestable();
const LIMIT_MS = 1000;
/** A limit for a write that does not wait, not a measure of speed. */
const SOON_MS = 20_000;

/** Whether a write to the file system ends within a time. A write to a frozen one waits. */
async function canWrite(mountPoint: string, withinMs: number): Promise<boolean> {
  const writer = spawn("sh", ["-c", `date > ${mountPoint}/written`], { stdio: "ignore" });
  const ended = once(writer, "exit").then(() => true);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), withinMs);
  return Promise.race([ended, promise]).finally(() => clearTimeout(timer));
}

/** Starts a frozen read that waits while everything is frozen; resolves when it does. */
async function startFrozenRead(disk: TrackedDisk, wait: string) {
  tool("sh", "-c", `date > ${disk.mountPoint}/changed`);
  const args = ["freeze-read", "--pins", disk.pinFolder, "--disk", disk.device, "--mount", disk.mountPoint];
  const hold = ["--limit-ms", String(LIMIT_MS), "--during", `echo frozen >&2; ${wait}`];
  const child = spawn(FAULTY_PROGRAM, [...args, ...hold], { stdio: ["ignore", "pipe", "pipe"] });
  await once(child.stderr, "data");
  const chunks: string[] = [];
  child.stdout.on("data", (chunk) => chunks.push(String(chunk)));
  return { child, ended: once(child, "close").then(() => chunks.join("")) };
}

describe.skipIf(reason !== undefined)(`a frozen read ${reason ? `(${reason})` : ""}`, () => {
  test("is thawed by its watchdog if it is killed while the file system is frozen", async () => {
    await using disk = await TrackedDisk.create();
    const { child, ended } = await startFrozenRead(disk, "exec sleep 5 >&- 2>&-");
    expect(toolOutput("fsfreeze", "--freeze", disk.mountPoint).status).not.toBe(0);
    child.kill("SIGKILL");
    await ended;
    expect(await canWrite(disk.mountPoint, SOON_MS)).toBe(true);
  });

  test("that is killed together with its watchdog is thawed by the next start of the agent", async () => {
    await using disk = await TrackedDisk.create();
    // As on every machine with systemd.
    tool("sh", "-ec", "mkdir -p /run/causeway; mount -t tmpfs tmpfs /run/causeway");
    onTestFinished(() => void tool("umount", "/run/causeway"));
    const { child, ended } = await startFrozenRead(disk, "exec sleep 5 >&- 2>&-");
    const watchdog = tool("pgrep", "--parent", String(child.pid), "--full", "freeze-read").trim();
    expect(watchdog).toMatch(/^\d+$/);
    for (const pid of [Number(watchdog), Number(child.pid)]) process.kill(pid, "SIGKILL");
    await ended;
    expect(await canWrite(disk.mountPoint, 200)).toBe(false);
    expect(await disk.tracker.thaw()).toEqual([{ path: disk.mountPoint, error: "" }]);
    expect(await canWrite(disk.mountPoint, SOON_MS)).toBe(true);
    tool("fsfreeze", "--freeze", disk.mountPoint);
    try {
      // Another program's.
      expect(await disk.tracker.thaw()).toEqual([]);
      expect(await canWrite(disk.mountPoint, 200)).toBe(false);
    } finally {
      tool("fsfreeze", "--unfreeze", disk.mountPoint);
    }
  });

  test("ends at its limit, and what it did not read comes with the next pass", async () => {
    await using disk = await TrackedDisk.create();
    const { ended } = await startFrozenRead(disk, "exec sleep 5 >&- 2>&-");
    // The read itself would thaw only after five seconds.
    expect(await canWrite(disk.mountPoint, LIMIT_MS + 3000)).toBe(true);
    const output = await ended;
    expect(output).toContain('"outcome":"time-limit"');
    expect(await disk.differingAfterStillDelta()).toEqual([]);
  });

  test("does not thaw a file system that another program has frozen", async () => {
    await using disk = await TrackedDisk.create();
    tool("fsfreeze", "--freeze", disk.mountPoint);
    try {
      const { read } = await disk.freezeAndCompare();
      expect(read.mounts).toMatchObject([{ path: disk.mountPoint, state: "busy", wasThawed: false }]);
      expect(await canWrite(disk.mountPoint, 200)).toBe(false);
    } finally {
      tool("fsfreeze", "--unfreeze", disk.mountPoint);
    }
  });

  test("says of each mount whether it could be frozen", async () => {
    await using disk = await TrackedDisk.create();
    const read = await disk.tracker.freezeRead({
      disks: [disk.device],
      mounts: [disk.mountPoint, "/proc"],
      ignored: [],
      limitMs: SOON_MS,
      limitBytes: 2 ** 20,
    });
    expect(read.endedAtMs - read.startedAtMs).toBeGreaterThan(read.freezeMilliseconds - 1);
    expect(Math.abs(Date.now() - read.endedAtMs)).toBeLessThan(SOON_MS);
    expect(read.mounts.map(({ path, state }) => [path, state])).toEqual([
      [disk.mountPoint, "frozen"],
      ["/proc", "unsupported"],
    ]);
    expect(read.outcome).toBe("converged");
  });

  test("ends when its memory is full, and reads the rest with the next pass", async () => {
    await using disk = await TrackedDisk.create();
    tool("sh", "-c", `head -c 4000000 /dev/urandom > ${disk.mountPoint}/big`);
    const read = await disk.tracker.freezeRead({
      disks: [disk.device],
      mounts: [disk.mountPoint],
      ignored: [],
      limitMs: SOON_MS,
      limitBytes: 2 ** 20,
    });
    expect(read.outcome).toBe("byte-limit");
    expect(await disk.differingAfterStillDelta()).toEqual([]);
  });

  test("leaves the marks of a part that is ignored to the next pass", async () => {
    await using disk = await TrackedDisk.create();
    tool("sh", "-c", `date > ${disk.mountPoint}/changed`);
    const ignored = [{ disk: disk.device, offset: 0, length: disk.copy.length }];
    const limits = { limitMs: SOON_MS, limitBytes: 2 ** 20 };
    const read = await disk.tracker.freezeRead({
      disks: [disk.device],
      mounts: [disk.mountPoint],
      ignored,
      ...limits,
    });
    expect([read.outcome, read.frames]).toEqual(["converged", []]);
    const { bytes } = await disk.takeDelta();
    expect(bytes).toBeGreaterThan(0);
    expect(await disk.differingAfterStillDelta()).toEqual([]);
  });

  // The freeze of the upper one waits for writes to the lower one.
  test("ends at its limit, and leaves nothing frozen, if a file system is frozen before one that is in a file of it", async () => {
    await using disk = await TrackedDisk.create();
    const inner = `${disk.mountPoint}.inner`;
    tool(
      "sh",
      "-ec",
      `truncate -s 8M ${disk.mountPoint}/image; mkfs.ext4 -q ${disk.mountPoint}/image; mkdir ${inner}
      mount -o loop ${disk.mountPoint}/image ${inner}; head -c 1000000 /dev/urandom > ${inner}/file`,
    );
    try {
      const { outcome } = await disk.tracker.freezeRead({
        disks: [disk.device],
        mounts: [disk.mountPoint, inner],
        ignored: [],
        limitMs: LIMIT_MS,
        limitBytes: 2 ** 24,
      });
      expect(outcome).toBe("time-limit");
      expect(await canWrite(disk.mountPoint, SOON_MS)).toBe(true);
      expect(await canWrite(inner, SOON_MS)).toBe(true);
    } finally {
      tool("umount", inner);
      tool("rmdir", inner);
    }
  });

  test("stops no program while what waits in memory is written to a disk that is slow", async () => {
    await using slow = await DelayedWrites.create();
    await using disk = await TrackedDisk.create({ imageFolder: slow.imageFolder });
    tool("sh", "-c", `head -c 1000000 /dev/urandom > ${disk.mountPoint}/waits`);
    const landing = slow.pauseFor(3 * LIMIT_MS);
    const { outcome, freezeMilliseconds } = await disk.tracker.freezeRead({
      disks: [disk.device],
      mounts: [disk.mountPoint],
      ignored: [],
      limitMs: LIMIT_MS,
      limitBytes: 2 ** 24,
    });
    await landing;
    expect(outcome).toBe("converged");
    expect(freezeMilliseconds).toBeLessThan(LIMIT_MS);
  });

  test("does not freeze a btrfs that is scrubbed, whose programs would wait until the scrub ends", async () => {
    await using disk = await TrackedDisk.create({ sizeMiB: 128, fileSystem: "btrfs" });
    const { device, mountPoint } = disk;
    const name = basename(device);
    tool(
      "sh",
      "-ec",
      `head -c 40000000 /dev/urandom > ${mountPoint}/data; sync -f ${mountPoint}
      for each in /sys/fs/btrfs/*; do [ -e $each/devices/${name} ] && echo 1000000 > $each/devinfo/1/scrub_speed_max; done
      btrfs scrub start ${mountPoint} > /dev/null 2>&1 < /dev/null
      until btrfs scrub status ${mountPoint} | grep -q running; do sleep 0.1; done`,
    );
    await disk.takeDelta();
    try {
      const { outcome, mounts, freezeMilliseconds } = await disk.tracker.freezeRead({
        disks: [device],
        mounts: [mountPoint],
        ignored: [],
        limitMs: LIMIT_MS,
        limitBytes: 2 ** 24,
      });
      expect(mounts).toMatchObject([{ state: "at-work" }]);
      expect(freezeMilliseconds).toBeLessThan(LIMIT_MS);
      expect(outcome).toBe("converged");
    } finally {
      tool("btrfs", "scrub", "cancel", mountPoint);
    }
  });

  test("says of a file system that the kernel has given up that it could not be frozen, and reads its disk", async () => {
    await using disk = await TrackedDisk.create();
    const { device, mountPoint } = disk;
    tool("sh", "-c", `date > ${mountPoint}/file`);
    tool("xfs_io", "-x", "-c", "shutdown", mountPoint);
    await disk.tracker.sync([mountPoint]);
    const limits = { limitMs: SOON_MS, limitBytes: 2 ** 24 };
    const read = await disk.tracker.freezeRead({
      disks: [device],
      mounts: [mountPoint],
      ignored: [],
      ...limits,
    });
    expect(read).toMatchObject({ outcome: "converged", mounts: [{ state: "failed" }] });
  });

  test("takes the mounts of a machine that has a thousand", async () => {
    await using disk = await TrackedDisk.create();
    const read = await disk.tracker.freezeRead({
      disks: [disk.device],
      mounts: Array.from({ length: 1000 }, () => "/proc"),
      ignored: [],
      limitMs: SOON_MS,
      limitBytes: 2 ** 26,
    });
    expect([read.outcome, read.mounts.length]).toEqual(["converged", 1000]);
  });

  test("is not begun if a mount does not exist, and then nothing is frozen", async () => {
    await using disk = await TrackedDisk.create();
    const args = ["freeze-read", "--pins", disk.pinFolder, "--disk", disk.device, "--mount", disk.mountPoint];
    const { output } = toolOutput(FAULTY_PROGRAM, ...args, "--mount", "/does/not/exist");
    expect(output).toContain('"code":"no-mount"');
    expect(await canWrite(disk.mountPoint, SOON_MS)).toBe(true);
  });
});
