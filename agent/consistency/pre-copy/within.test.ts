/** Whether a volume is on the disks of a recovery point with all of its bytes. */
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MIB, tool } from "../../filesystems/testing/test-image.ts";
import { readPoint } from "../../repository/points.ts";
import { whyUntestable } from "../../tracking/testing/tracked-disk.ts";
import { LiveMachine } from "../testing/live-machine.ts";
import type { DeviceInTree, DeviceTree } from "./volumes-to-freeze.ts";
import { isWithin } from "./within.ts";

const DEVICES: Readonly<Record<string, DeviceInTree>> = {
  "8:0": { kernelName: "sda", parts: [] },
  "8:2": { kernelName: "sda2", parts: [], partition: { number: 2, disk: "8:0" } },
  "8:16": { kernelName: "sdb", parts: [] },
  "253:0": { kernelName: "dm-0", parts: ["8:2"], mappedName: "vg-root" },
  "253:1": { kernelName: "dm-1", parts: ["8:2", "8:16"], mappedName: "vg-data" },
  "7:0": { kernelName: "loop0", parts: [], backingFile: "/srv/image" },
};
const mount = { device: "0:31", source: "/dev/8:2", type: "btrfs", isReadOnly: false };
const tree: DeviceTree = {
  mounts: [{ ...mount, mountPoint: "/srv" }],
  superblocks: [{ type: "btrfs", devices: ["8:2", "8:16"] }],
  numberOf: async (path) => path.slice("/dev/".length),
  deviceAt: async () => undefined,
  describe: async (device) => DEVICES[device],
};

test.each<[string, string[], boolean]>([
  ["253:0", ["8:0"], true],
  ["253:1", ["8:0"], false],
  ["253:1", ["8:0", "8:16"], true],
  ["7:0", ["8:0"], false],
  ["7:0", ["8:0", "8:16"], true],
  ["7:0", ["7:0"], true],
  ["9:9", ["8:0"], false],
])("whether all of %s is on %s: %s", async (device, disks, expected) => {
  expect(await isWithin(tree, device, new Set(disks))).toBe(expected);
});

const reason = whyUntestable();

describe.skipIf(reason !== undefined)(`a disk in use ${reason ? `(${reason})` : ""}`, () => {
  test("that has a part of a btrfs is as after a power failure if the point lacks the other part", async () => {
    await using machine = await LiveMachine.start({ sizeMiB: 128, fileSystem: "none" });
    const folder = mkdtempSync(join(tmpdir(), "within-"));
    const [image, mountPoint] = [join(folder, "image"), join(folder, "mount")];
    writeFileSync(image, "");
    truncateSync(image, 128 * MIB);
    mkdirSync(mountPoint);
    const second = tool("losetup", "--find", "--show", image).trim();
    onTestFinished(() => {
      tool("losetup", "--detach", second);
      rmSync(folder, { recursive: true });
    });
    tool("mkfs.btrfs", "--quiet", "--data", "raid0", "--metadata", "raid0", machine.disk.device, second);
    tool("mount", machine.disk.device, mountPoint);
    try {
      const { disks } = await machine.take("rp_1");
      expect(disks).toMatchObject([
        {
          consistency: "crash",
          viewReason: "it is in use; disk (btrfs) is on further disks that this recovery point lacks",
        },
      ]);
      const point = await readPoint(await machine.deps.repository(), "rp_1");
      expect(point.disks[0]?.volumes).toEqual([{ name: "disk", consistency: "crash" }]);
    } finally {
      tool("umount", mountPoint);
    }
  });
});
