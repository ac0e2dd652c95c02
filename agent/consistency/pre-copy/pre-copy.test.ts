/** Recovery points of mounted file systems under load, on loop devices. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { tool } from "../../filesystems/testing/test-image.ts";
import { readPoint } from "../../repository/points.ts";
import { whyUntestable } from "../../tracking/testing/tracked-disk.ts";
import { LiveMachine, requireInstants, underLoad } from "../testing/live-machine.ts";

const reason = whyUntestable();
/** A tracker with this fault marks no write to the granules from 64 to 127. */
const BLIND = "region:64:64";

function overwriteUnseen({ disk }: LiveMachine, granules: number): void {
  const count = `count=${granules}`;
  tool("dd", "if=/dev/urandom", `of=${disk.device}`, "bs=64K", "seek=64", count, "oflag=direct");
}

describe.skipIf(reason !== undefined)(`a disk in use ${reason ? `(${reason})` : ""}`, () => {
  test("is copied as of one instant under load, and later copies read only what changed", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 32 });
    await requireInstants(machine, { seed: 7, points: 3 });
    const { disks } = await readPoint(await machine.deps.repository(), "rp_3");
    expect(disks[0]?.volumes).toEqual([{ name: "disk", consistency: "file-system" }]);
  });

  test("is copied as of one instant under load if it has XFS, and its copy is clean after one mount", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 300, fileSystem: "xfs" });
    await requireInstants(machine, { seed: 8, points: 2 });
  }, 400_000);

  test("costs the blocks that a freeze changes, and at most 10 requests, if no program writes", async () => {
    // A map of two levels.
    await using machine = await LiveMachine.start({ sizeMiB: 48 });
    await machine.take("rp_1");
    await machine.take("rp_2");
    for (const pointId of ["rp_3", "rp_4", "rp_5"]) {
      const { disks, requests } = await machine.take(pointId);
      expect(disks).toMatchObject([{ mode: "tracked" }]);
      // ext4 marks its superblock as clean, and the thaw marks it again.
      expect(disks[0]?.changedBytes).toBeLessThanOrEqual(3 * 65_536);
      expect(disks[0]?.bytesStored).toBeLessThan(65_536);
      expect(requests).toBeLessThanOrEqual(10);
    }
  });

  test("is copied right if an attempt is cut off and the disk changes before the next one", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 48 });
    tool("sh", "-c", `head -c 30000000 /dev/urandom > ${machine.disk.mountPoint}/data`);
    for (const pointId of ["rp_1", "rp_2"]) {
      await underLoad(machine, 3, async () => {
        const stop = new AbortController();
        const cut = machine.take(pointId, { signal: stop.signal }).catch((error: Error) => error.name);
        await wait(150);
        stop.abort();
        await cut;
        tool("sh", "-c", `head -c 2000000 /dev/urandom > ${machine.disk.mountPoint}/data2; sync`);
        await machine.take(pointId);
      });
      expect(await machine.differing(await machine.restored(pointId)), pointId).toEqual([]);
    }
  });

  test("is said to be as after a power failure if a program writes to it without a file system", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 16, fileSystem: "none" });
    const database = spawn("sh", ["-c", `exec 3<>${machine.disk.device}; echo ready; exec sleep 60`]);
    await once(database.stdout, "data");
    const { disks } = await machine.take("rp_1");
    database.kill();
    expect(disks).toMatchObject([{ consistency: "crash" }]);
    const [disk] = (await readPoint(await machine.deps.repository(), "rp_1")).disks;
    expect(disk?.volumes).toEqual([{ name: "disk", consistency: "crash" }]);
    expect(disks[0]?.viewReason).toMatch(/disk \(sleep\) is written to without a file system/);
  });

  test("is scanned, and its copy is marked, if the tracker missed a change", async () => {
    const omit = [BLIND];
    await using machine = await LiveMachine.start({ sizeMiB: 16, omit, fileSystem: "none" });
    await machine.take("rp_1");
    const bytes = 64 * 65_536;
    overwriteUnseen(machine, 64);
    machine.deps.random = () => 0;
    const { disks } = await machine.take("rp_2");
    expect(disks).toMatchObject([
      { mode: "hash-scan", consistency: "not", trackerDisagreements: 64, changedBytes: bytes },
    ]);
    expect(disks[0]?.viewReason).toContain("the tracker had not noticed");
    const after = await machine.take("rp_3");
    expect(after.disks).toMatchObject([{ mode: "hash-scan", consistency: "crash", trackerDisagreements: 0 }]);
    expect((await machine.restored("rp_3")).equals(await machine.frozen())).toBe(true);
  });

  test("is read whole, and the tracker is not called wrong, if discarded blocks may read differently", async () => {
    const omit = [BLIND];
    await using machine = await LiveMachine.start({
      ...{ sizeMiB: 16, omit, fileSystem: "none", mayReadDiscardedDifferently: true },
    });
    await machine.take("rp_1");
    // Stands for blocks that the disk changes by itself.
    overwriteUnseen(machine, 9);
    machine.deps.random = () => 0;
    const { disks } = await machine.take("rp_2");
    expect(disks).toMatchObject([{ consistency: "crash", trackerDisagreements: 0 }]);
    expect(disks[0]?.viewReason).toContain("9 sampled blocks read differently");
    expect((await machine.restored("rp_2")).equals(await machine.frozen())).toBe(true);
    expect((await machine.take("rp_3")).disks).toMatchObject([{ mode: "tracked", trackerDisagreements: 0 }]);
  });

  test("has one instant if so much changes for some seconds that a freeze gives up", async () => {
    const freeze = { ms: 60_000, bytes: 2 ** 20, pausesMs: [0, 0, 5000] };
    await using machine = await LiveMachine.start({ sizeMiB: 16, fileSystem: "none", freeze });
    await machine.take("rp_1");
    const { device } = machine.disk;
    const burst = spawn("bash", [
      "-c",
      `echo; end=$((SECONDS + 4)); while [ $SECONDS -lt $end ]; do
        dd if=/dev/urandom of=${device} bs=1M count=12 oflag=direct status=none
      done`,
    ]);
    await once(burst.stdout, "data");
    const { disks } = await machine.take("rp_2");
    expect(disks).toMatchObject([{ view: "pre-copy", consistency: "crash" }]);
    expect((await machine.restored("rp_2")).equals(await machine.frozen())).toBe(true);
    expect(burst.exitCode).toBe(0);
  });

  test("has no recovery point, and the error says why, if the kernel does not return from a freeze", async () => {
    await using machine = await LiveMachine.start({
      ...{ sizeMiB: 16, freeze: { ms: 5, bytes: 2 ** 24, pausesMs: [] } },
      // Waits as such a freeze does, and ends so that the test can clean up.
      trackerOptions: { "freeze-read": "& sleep 10; wait;" },
    });
    await expect(machine.take("rp_1")).rejects.toMatchObject({
      ...{ name: "TrackerFailedError", details: { code: "stuck" } },
    });
    expect(await machine.points()).toEqual([]);
  });

  test("is marked as not consistent if it never stops changing, and the next copy is right", async () => {
    const freeze = { ms: 10_000, bytes: 65_536, pausesMs: [0] };
    await using machine = await LiveMachine.start({ sizeMiB: 4, fileSystem: "none", freeze });
    // Several, because a moment in which none of them writes would be an instant.
    const writers = tool(
      "bash",
      "-c",
      `
      for writer in 1 2; do
        (while [ ! -e ${machine.disk.mountPoint}/stop ]; do
          dd if=/dev/urandom of=${machine.disk.device} bs=64K count=60 oflag=direct status=none
        done) > /dev/null 2>&1 &
        echo -n "$! "
      done`,
    ).trim();
    try {
      const { disks } = await machine.take("rp_1");
      expect(disks).toMatchObject([{ view: "pre-copy", consistency: "not" }]);
      expect(disks[0]?.viewReason).toMatch(/more changed (than can be read|at once than fits)/);
    } finally {
      tool("touch", `${machine.disk.mountPoint}/stop`);
      while (tool("sh", "-c", `kill -0 ${writers} 2>/dev/null && echo yes || true`).trim()) await wait(50);
    }
    const { disks } = await machine.take("rp_2");
    expect(disks).toMatchObject([{ mode: "tracked", consistency: "crash" }]);
    expect((await machine.restored("rp_2")).equals(await machine.frozen())).toBe(true);
  });

  test("is scanned when the last scan is thirty days ago, or the clock was set to a time before it", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 16 });
    await machine.take("rp_1");
    machine.nowMs += 29 * 86_400_000;
    expect((await machine.take("rp_2")).disks[0]?.mode).toBe("tracked");
    machine.nowMs += 2 * 86_400_000;
    expect((await machine.take("rp_3")).disks[0]?.modeReason).toContain("every 30 days");
    expect((await machine.take("rp_4")).disks[0]?.mode).toBe("tracked");
    machine.nowMs -= 3600_000;
    expect((await machine.take("rp_5")).disks[0]?.mode).toBe("hash-scan");
    expect((await machine.take("rp_6")).disks[0]?.mode).toBe("tracked");
  });

  test("is not copied if that would not be consistent, unless the request allows it", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 16 });
    machine.deps.views = { ...machine.deps.views, "pre-copy": undefined };
    await expect(machine.take("rp_1")).rejects.toMatchObject({ name: "NoConsistentViewError" });
    const { disks } = await machine.take("rp_1", { allowInconsistent: true });
    expect(disks).toMatchObject([{ view: "inconsistent", consistency: "not" }]);
  });
});
