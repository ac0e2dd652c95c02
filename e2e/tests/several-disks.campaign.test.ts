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

describe.skipIf(reason !== undefined)(`btrfs over two disks ${reason ? `(${reason})` : ""}`, () => {
  test("is frozen once, and its disks have one instant under load", async () => {
    // In the folder of the machine, whose name is not known before it is there.
    const witness = { "freeze-read": '--witness "sh $(dirname $0)/witness"' };
    await using machine = await LiveMachine.start({
      ...{ sizeMiB: SIZE_MIB, fileSystem: "none", trackerOptions: witness },
    });
    const { device, mountPoint } = machine.disk;
    const [own] = await machine.deps.disks();
    const inFolder = (name: string) => join(machine.disk.image, "..", name);
    await writeFile(inFolder("second.raw"), "");
    await truncate(inFolder("second.raw"), SIZE_MIB * MIB);
    const second = tool("losetup", "--find", "--show", inFolder("second.raw")).trim();
    const copies = [device, second].map(
      (from, at) => `dd if=${from} of=${inFolder(`frozen-${NAMES[at]}`)} bs=1M iflag=direct status=none\n`,
    );
    // btrfs discards whole free block groups even while it is frozen. What it does once in minutes, between
    // the last read and the end of these copies, fstrim does here each time.
    await writeFile(inFolder("witness"), `set -e\nfstrim ${mountPoint}\n${copies.join("")}`);
    tool("mkfs.btrfs", "-q", "-f", "-d", "raid0", "-m", "raid1", device, second);
    tool("mount", "-o", `discard=async,device=${device},device=${second}`, device, mountPoint);
    machine.deps.disks = async () => [...(own ? [own] : []), { name: "sdb", path: second, isStill: false }];
    let lateDiscards = 0;
    const load = spawn("sh", ["-c", LOAD], { cwd: mountPoint, stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(load, "exit");
    let isMounted = true;
    const end = async () => {
      load.kill();
      await ended;
      if (isMounted) tool("umount", mountPoint);
      isMounted = false;
    };
    try {
      await once(load.stdout, "data");
      for (const pointId of ["rp_1", "rp_2", "rp_3"]) {
        const { disks } = await machine.take(pointId, { disks: NAMES });
        const mode = pointId === "rp_1" ? "hash-scan" : "tracked";
        expect(disks).toMatchObject(NAMES.map((name) => ({ name, mode, consistency: "file-system" })));
        for (const [at, name] of NAMES.entries()) {
          const [image = "", other = ""] = [name, NAMES[1 - at]].map((each) => inFolder(`frozen-${each}`));
          const frozen = { image, content: await readFile(image), fileSystem: "btrfs", others: [other] };
          const restored = await machine.restored(pointId, name);
          lateDiscards += differingPages(restored, frozen.content).length;
          expect(differencesBesidesLateDiscards(restored, frozen), `${pointId}, ${name}`).toEqual([]);
        }
      }
      expect(lateDiscards).toBeGreaterThan(0);
      const point = await readPoint(await machine.deps.repository(), "rp_3");
      for (const { volumes } of point.disks)
        expect(volumes).toEqual([{ name: "disk", consistency: "file-system" }]);
      await end();
      // Two disks with the same identities would be one to the checker.
      tool("wipefs", "--all", device, second);
      for (const name of NAMES)
        await writeFile(inFolder(`restored-${name}`), await machine.restored("rp_3", name));
      const restored = NAMES.map((name) =>
        tool("losetup", "--find", "--show", "--read-only", inFolder(`restored-${name}`)).trim(),
      );
      try {
        tool("btrfs", "check", "--check-data-csum", ...restored.slice(0, 1));
      } finally {
        for (const copy of restored) tool("losetup", "--detach", copy);
      }
    } finally {
      await end();
      tool("losetup", "--detach", second);
    }
  });
});
