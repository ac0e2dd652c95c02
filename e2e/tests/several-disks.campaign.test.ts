/** A file system over several disks, on loop devices. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LiveMachine } from "#agent/consistency/testing/live-machine.ts";
import { MIB, tool } from "#agent/filesystems/testing/test-image.ts";
import { readPoint } from "#agent/repository/points.ts";
import { differingPages } from "#agent/tracking/testing/disk-in-use.ts";
import { differencesBesidesLateDiscards } from "#agent/tracking/testing/late-discards.ts";
import { whyUntestable } from "#agent/tracking/testing/tracked-disk.ts";

const reason = whyUntestable();
const SIZE_MIB = 128;
const NAMES = ["sda", "sdb"];

const LOAD = `number=0
while :; do
  head -c 300000 /dev/urandom > $((number % 12)); sync -f .
  number=$((number + 1)); [ $number = 1 ] && echo
done`;

const pathOf = (machine: LiveMachine, name: string): string => join(machine.disk.image, "..", name);

/** Requires that a new point is the frozen disks, besides late discards. Returns which pages those are. */
async function requireInstant(machine: LiveMachine, pointId: string): Promise<string[]> {
  const { disks } = await machine.take(pointId, { disks: NAMES });
  const mode = pointId === "rp_1" ? "hash-scan" : "tracked";
  expect(disks).toMatchObject(NAMES.map((name) => ({ name, mode, consistency: "file-system" })));
  const lateDiscards: string[] = [];
  for (const [at, name] of NAMES.entries()) {
    const [image = "", other = ""] = [name, NAMES[1 - at]].map((each) => pathOf(machine, `frozen-${each}`));
    const frozen = { image, content: await readFile(image), fileSystem: "btrfs", others: [other] };
    const restored = await machine.restored(pointId, name);
    expect(differencesBesidesLateDiscards(restored, frozen), `${pointId}, ${name}`).toEqual([]);
    lateDiscards.push(...differingPages(restored, frozen.content).map((page) => `${name}: ${page}`));
  }
  return lateDiscards;
}

/** Requires that the checker of btrfs finds no fault in a restored point, and each file's bytes right. */
async function requireSound(machine: LiveMachine, pointId: string): Promise<void> {
  const devices: string[] = [];
  try {
    for (const name of NAMES) {
      const path = pathOf(machine, `restored-${name}`);
      await writeFile(path, await machine.restored(pointId, name));
      devices.push(tool("losetup", "--find", "--show", "--read-only", path).trim());
    }
    tool("btrfs", "check", "--check-data-csum", ...devices.slice(0, 1));
  } finally {
    for (const device of devices) tool("losetup", "--detach", device);
  }
}

describe.skipIf(reason !== undefined)(`btrfs over two disks ${reason ? `(${reason})` : ""}`, () => {
  test("is frozen once, and its disks have one instant under load", async () => {
    // In the folder of the machine, whose name is not known before it is there.
    const witness = { "freeze-read": '--witness "sh $(dirname $0)/witness"' };
    await using machine = await LiveMachine.start({
      ...{ sizeMiB: SIZE_MIB, fileSystem: "none", trackerOptions: witness },
    });
    const { device, mountPoint } = machine.disk;
    const [own] = await machine.deps.disks();
    await writeFile(pathOf(machine, "second.raw"), "");
    await truncate(pathOf(machine, "second.raw"), SIZE_MIB * MIB);
    const second = tool("losetup", "--find", "--show", pathOf(machine, "second.raw")).trim();
    const copies = [device, second].map((from, at) => {
      const to = pathOf(machine, `frozen-${NAMES[at]}`);
      return `dd if=${from} of=${to} bs=1M iflag=direct status=none\n`;
    });
    // btrfs discards whole free block groups even while it is frozen. What it does once in minutes, between
    // the last read and the end of these copies, fstrim does here each time.
    await writeFile(pathOf(machine, "witness"), `set -e\nfstrim ${mountPoint}\n${copies.join("")}`);
    tool("mkfs.btrfs", "-q", "-f", "-d", "raid0", "-m", "raid1", device, second);
    tool("mount", "-o", `discard=async,device=${device},device=${second}`, device, mountPoint);
    machine.deps.disks = async () => [...(own ? [own] : []), { name: "sdb", path: second, isStill: false }];
    const load = spawn("sh", ["-c", LOAD], { cwd: mountPoint, stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(load, "exit");
    try {
      await once(load.stdout, "data");
      for (const pointId of ["rp_1", "rp_2", "rp_3"]) await requireInstant(machine, pointId);
      load.kill();
      await ended;
      const late = new Set(await requireInstant(machine, "rp_4"));
      expect(late.size).toBeGreaterThan(0);
      // What was discarded after the last read of a point comes with the next one.
      const stillLate = await requireInstant(machine, "rp_5");
      expect(stillLate.filter((page) => late.has(page))).toEqual([]);
      const point = await readPoint(await machine.deps.repository(), "rp_5");
      for (const { volumes } of point.disks)
        expect(volumes).toEqual([{ name: "disk", consistency: "file-system" }]);
    } finally {
      load.kill();
      await ended;
      tool("umount", mountPoint);
      // Two disks with the same identities would be one to the checker.
      tool("wipefs", "--all", device, second);
      tool("losetup", "--detach", second);
    }
    await requireSound(machine, "rp_5");
  });
});
