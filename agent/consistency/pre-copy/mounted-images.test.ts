/** Images that are mounted from files of the machine's own file system, on loop devices. */
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Consistency } from "#shared/protocol/copied-disk.ts";
import { MIB, tool } from "../../filesystems/testing/test-image.ts";
import { readPoint } from "../../repository/points.ts";
import { whyUntestable } from "../../tracking/testing/tracked-disk.ts";
import { LiveMachine } from "../testing/live-machine.ts";

const reason = whyUntestable();

/** What makes a file system on a device, and what mounts it there. */
type Kind = (device: string, mountPoint: string) => void;

const ext4: Kind = (device, mountPoint) => {
  tool("mkfs.ext4", "-q", device);
  tool("mount", device, mountPoint);
  // A freeze has to write this through the file system that has the image.
  tool("sh", "-c", `head -c 1000000 /dev/urandom > ${mountPoint}/file`);
};

/** Its driver has no freeze, as that of squashfs and vfat. */
const ntfs =
  (options: string): Kind =>
  (device, mountPoint) => {
    tool("mkfs.ntfs", "--fast", "--force", "--quiet", device);
    tool("ntfs-3g", "-o", options, device, mountPoint);
  };

/** Returns what unmounts it. */
function mountImage({ mountPoint: outer }: LiveMachine["disk"], kind: Kind): () => void {
  const [image, mountPoint] = [`${outer}/image`, `${outer}.inner`];
  writeFileSync(image, "");
  truncateSync(image, 8 * MIB);
  const device = tool("losetup", "--find", "--show", image).trim();
  mkdirSync(mountPoint);
  kind(device, mountPoint);
  return () => {
    tool("umount", mountPoint);
    tool("losetup", "--detach", device);
    rmSync(mountPoint, { recursive: true });
  };
}

describe.skipIf(reason !== undefined)(`a disk in use ${reason ? `(${reason})` : ""}`, () => {
  test.each<[string, Kind, Consistency, string]>([
    ["an image is frozen before the file system that has it", ext4, "file-system", "it is in use"],
    [
      "an image that cannot be frozen is read-only, as those of snap, its copy is as good as without it",
      ntfs("ro"),
      "file-system",
      "it is in use",
    ],
    [
      "an image that cannot be frozen is written to, its copy is as after a power failure",
      ntfs("rw"),
      "crash",
      "it is in use; disk (fuseblk) cannot be frozen",
    ],
  ])("of which %s", async (_, kind, consistency, viewReason) => {
    await using machine = await LiveMachine.start({ sizeMiB: 32 });
    const unmount = mountImage(machine.disk, kind);
    try {
      const { disks } = await machine.take("rp_1");
      expect(disks).toMatchObject([{ consistency, viewReason }]);
      const point = await readPoint(await machine.deps.repository(), "rp_1");
      expect(point.disks[0]?.volumes).toEqual([
        { name: "disk", consistency },
        { name: "disk", consistency: "file-system" },
      ]);
      expect((await machine.restored("rp_1")).equals(await machine.frozen())).toBe(true);
    } finally {
      unmount();
    }
  });
});
