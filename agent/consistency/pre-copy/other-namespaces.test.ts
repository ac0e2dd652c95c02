/** File systems that are mounted where the agent does not see them at once, on loop devices. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { tool } from "../../filesystems/testing/test-image.ts";
import { readPoint } from "../../repository/points.ts";
import { whyUntestable } from "../../tracking/testing/tracked-disk.ts";
import { LiveMachine } from "../testing/live-machine.ts";

const reason = whyUntestable();

/** Runs until its input ends. Resolves once it has said that it is ready. */
async function start(command: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.stdin?.end();
  await exited;
}

describe.skipIf(reason !== undefined)(`a file system ${reason ? `(${reason})` : ""}`, () => {
  test("that is mounted only in another mount namespace is found and frozen there", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 16 });
    const { mountPoint } = machine.disk;
    await appendFile(`${mountPoint}/data`, "in no file system that the agent sees");
    const other = await start("unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; cat");
    try {
      tool("umount", mountPoint);
      const taken = await machine.take("rp_1");
      expect(taken.disks).toMatchObject([{ consistency: "file-system", viewReason: "it is in use" }]);
      const restored = await machine.restored("rp_1");
      expect(restored.equals(await machine.frozen())).toBe(true);
      expect(await machine.faultsOf(restored)).toBe("");
    } finally {
      await end(other);
    }
  });

  // As vfat: its driver has no freeze.
  test("that is mounted only in another mount namespace, and cannot be frozen, is named in a crash consistent point", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 16, fileSystem: "none" });
    const { device, mountPoint } = machine.disk;
    tool("mkfs.ntfs", "--fast", "--force", "--quiet", device);
    const inside = `ntfs-3g ${device} ${mountPoint} && date > ${mountPoint}/file && echo && cat && umount ${mountPoint}`;
    const other = await start("unshare", "--mount", "--propagation", "private", "sh", "-c", inside);
    try {
      const { disks } = await machine.take("rp_1");
      expect(disks).toMatchObject([
        { consistency: "crash", viewReason: expect.stringContaining("disk (fuseblk) cannot be frozen") },
      ]);
      const point = await readPoint(await machine.deps.repository(), "rp_1");
      expect(point.disks[0]?.volumes).toEqual([{ name: "disk", consistency: "crash" }]);
      expect((await machine.restored("rp_1")).equals(await machine.frozen())).toBe(true);
    } finally {
      await end(other);
    }
  });

  test("that is mounted where no process can see it is named, and its copy is as after a power failure", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 16 });
    const { mountPoint } = machine.disk;
    const holder = await start("sh", "-c", `exec 5> ${mountPoint}/open; echo; cat`);
    try {
      tool("umount", "--lazy", mountPoint);
      const { disks } = await machine.take("rp_1");
      expect(disks).toMatchObject([{ consistency: "crash" }]);
      expect(disks[0]?.viewReason).toContain("disk (ext4) is mounted where the agent cannot see it");
    } finally {
      await end(holder);
    }
  });
});
