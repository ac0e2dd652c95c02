/** File systems in which the kernel has found errors: a recovery point says so, and calls none whole. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MIB, tool, toolOutput } from "../filesystems/testing/test-image.ts";
import { whyUntestable } from "../tracking/testing/tracked-disk.ts";
import { LiveMachine } from "./testing/live-machine.ts";
import { faultOn } from "./volume-fault.ts";

/** Folders as in /sys/fs, with these files. */
function placesWith(files: Readonly<Record<string, string>>): { ext4: string; btrfs: string } {
  const folder = mkdtempSync(join(tmpdir(), "volume-fault-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return { ext4: join(folder, "ext4"), btrfs: join(folder, "btrfs") };
}

const stats = (write: number, corruption: number) =>
  `write_errs ${write}\nread_errs 0\nflush_errs 0\ncorruption_errs ${corruption}\ngeneration_errs 0\n`;

test("errors that ext4 and btrfs count are said, those of a btrfs on all of its devices once", async () => {
  const places = placesWith({
    "ext4/sda1/errors_count": "1\n",
    "ext4/sda2/errors_count": "0\n",
    "ext4/features/lazy_itable_init": "supported\n",
    "btrfs/5eed/devices/sdb/dev": "8:16\n",
    "btrfs/5eed/devices/sdc/dev": "8:32\n",
    "btrfs/5eed/devinfo/1/error_stats": stats(1, 3),
    "btrfs/5eed/devinfo/2/error_stats": stats(0, 2),
    "btrfs/features/compress_zstd": "0\n",
  });
  expect(await faultOn(["sda1"], places)).toContain("has had 1 error by");
  expect(await faultOn(["sda2"], places)).toBeUndefined();
  expect(await faultOn(["sdb", "sdc"], places)).toContain("has had 6 errors by");
  expect(await faultOn(["sdd"], places)).toBeUndefined();
  expect(await faultOn(["sda1"], { ext4: "/none", btrfs: "/none" })).toBeUndefined();
});

const reason = whyUntestable();

describe.skipIf(reason !== undefined)(`a disk in use ${reason ? `(${reason})` : ""}`, () => {
  test.each(["continue", "remount-ro"])(
    "of which the ext4 has had an error is not whole, with errors=%s",
    async (errors) => {
      await using machine = await LiveMachine.start({ mountOptions: `noatime,errors=${errors}` });
      writeFileSync(`/sys/fs/ext4/${basename(machine.disk.device)}/trigger_fs_error`, "1");
      const { disks } = await machine.take("rp_1");
      expect(disks).toMatchObject([
        {
          consistency: "crash",
          viewReason: expect.stringContaining("has had 1 error by its kernel's count"),
        },
      ]);
    },
  );

  test("of which the XFS has shut down is not whole, and the point says that it could not be frozen", async () => {
    await using machine = await LiveMachine.start({ fileSystem: "xfs", sizeMiB: 320 });
    tool("xfs_io", "-x", "-c", "shutdown", machine.disk.mountPoint);
    const { disks } = await machine.take("rp_1");
    expect(disks).toMatchObject([
      {
        consistency: "crash",
        viewReason: expect.stringContaining("(xfs) could not be frozen (Input/output error)"),
      },
    ]);
  });

  test("of which the kernel has stopped the btrfs because of an error is not whole", async () => {
    const folder = mkdtempSync(join(tmpdir(), "volume-fault-"));
    tool("mount", "-t", "tmpfs", "-o", "size=48M", "tmpfs", folder);
    try {
      await using machine = await LiveMachine.start({
        ...{ fileSystem: "btrfs", sizeMiB: 256, imageFolder: folder },
        freeze: { ms: 60_000, bytes: 64 * MIB, pausesMs: [] },
        trackerOptions: { "freeze-read": "" },
      });
      const { mountPoint } = machine.disk;
      // The image has no room for it.
      toolOutput("sh", "-c", `head -c 80000000 /dev/urandom > ${mountPoint}/data; sync -f ${mountPoint}`);
      expect(toolOutput("touch", `${mountPoint}/file`).status).not.toBe(0);
      // The agent's own folder is there, too.
      tool("mount", "-o", "remount,size=512M", folder);
      const { disks } = await machine.take("rp_1");
      expect(disks).toMatchObject([
        {
          consistency: "crash",
          viewReason: expect.stringContaining("(btrfs) could not be frozen (Read-only file system)"),
        },
      ]);
    } finally {
      tool("umount", folder);
      rmSync(folder, { recursive: true });
    }
  });
});
