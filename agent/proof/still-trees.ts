import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { type LeftOut, proofText } from "#shared/protocol/proof.ts";
import { runGuestTool } from "../browse/guest/tool.ts";
import {
  describeVolume,
  type GuestVolume,
  kernelName,
  NOTHING_RECOGNISED,
  plainVolumes,
} from "../browse/guest/volumes.ts";
import type { LocalDisk } from "../consistency/consistent-view.ts";
import { fileSystemOf } from "../filesystems/file-systems.ts";
import { mountIdOf } from "../machine/mount-id.ts";
import { chooseTrees, type MountedTrees, provableContentOf, type SeenMount } from "./mounted-trees.ts";
import { mountAll } from "./mounted-volumes.ts";
import { type ActiveVolume, activateReadable, deactivate } from "./readable-logical-volumes.ts";

/** What is hashed of the file systems of disks that nothing writes to. */
export interface StillTrees extends MountedTrees {
  /** What should be hashed, and could not be opened. */
  unopened: LeftOut[];
}

/** A volume, and by what people know it. */
interface StillVolume {
  place: string;
  device: string;
  type?: string | undefined;
  uuid?: string | undefined;
  memberUuid?: string | undefined;
  /** What is to be said if it has no type. */
  problem?: string | undefined;
}

/** What `blkid` calls the volumes of which LVM makes others. */
const LVM = "LVM2_member";
const IN_RAID = "it is in a RAID, which the boot environment would write to if it assembled it";
const ENCRYPTED = "it is encrypted, and the boot environment has no key";
const MAYBE_JOURNAL = "the kernel refuses this also if its journal is not empty";

/**
 * Does `work` while the file systems of these disks are mounted for reading below a folder, which nothing
 * else has mounted. All devices are write-protected before, and stay it: the kernel then writes nothing to
 * them, and mounts none whose journal would have to be replayed. Throws if what was opened cannot be closed.
 */
export async function whileStillMounted<T>(
  disks: readonly LocalDisk[],
  folder: string,
  work: (trees: StillTrees) => Promise<T>,
): Promise<T> {
  const opened = new StillDisks();
  try {
    return await work(await opened.open(disks, folder));
  } finally {
    await opened.close();
  }
}

class StillDisks {
  #places: readonly string[] = [];
  #logical: readonly ActiveVolume[] = [];
  #members: readonly string[] = [];

  async open(disks: readonly LocalDisk[], folder: string): Promise<StillTrees> {
    const plain = await volumesOf(disks);
    this.#members = plain.flatMap(({ type, device }) => (type === LVM ? [device] : []));
    const { active, refused } = await activateReadable(this.#members);
    this.#logical = active;
    const inside = await Promise.all(
      active.map(async ({ name, device }) =>
        stillVolume(name, await describeVolume({ name: "disk", device })),
      ),
    );
    for (const { device } of inside) await writeProtect(device);
    const { volumes, leftOut, closed } = sorted([...plain, ...inside]);
    const unopened = [...refused, ...closed];
    const mounted: { place: string; volume: StillVolume }[] = [];
    for (const one of await mountAll(volumes, folder)) {
      const { place } = one.volume;
      if ("place" in one) mounted.push(one);
      else unopened.push({ place, why: proofText(`${one.problem}; ${MAYBE_JOURNAL}`) });
    }
    this.#places = mounted.map(({ place }) => place);
    const { trees, leftOut: unread } = chooseTrees(await Promise.all(mounted.map(seenMount)), []);
    return {
      trees: trees.map((tree) => ({ ...tree, withSubvolumes: true })),
      leftOut: [...leftOut, ...unread],
      unopened,
    };
  }

  async close(): Promise<void> {
    for (const place of this.#places) {
      const { succeeded, complaint } = await runGuestTool("/usr/bin/umount", place);
      if (!succeeded) throw new Error(`${place} could not be unmounted: ${complaint}`);
    }
    await deactivate(this.#logical, this.#members);
  }
}

/** The partitions of these disks, write-protected. */
async function volumesOf(disks: readonly LocalDisk[]): Promise<StillVolume[]> {
  const volumes: StillVolume[] = [];
  for (const { path } of disks) {
    const disk = await kernelName(path);
    await writeProtect(disk);
    for (const volume of await plainVolumes(disk)) {
      await writeProtect(volume.device);
      volumes.push(stillVolume(join("/dev", volume.device), volume));
    }
  }
  return volumes;
}

function stillVolume(place: string, { device, type, ids, problem }: GuestVolume): StillVolume {
  return { place, device, type, uuid: ids.uuid, memberUuid: ids.memberUuid, problem };
}

/** Which of them are mounted, which have no files that are compared, and which are not opened. */
function sorted(all: readonly StillVolume[]): {
  volumes: StillVolume[];
  leftOut: LeftOut[];
  closed: LeftOut[];
} {
  const volumes: StillVolume[] = [];
  const leftOut: LeftOut[] = [];
  const closed: LeftOut[] = [];
  for (const volume of all) {
    const { place, type, uuid, problem } = volume;
    if (type === undefined)
      (problem === NOTHING_RECOGNISED ? leftOut : closed).push({ place, why: problem ?? NOTHING_RECOGNISED });
    else if (type.endsWith("_raid_member")) closed.push({ place, why: IN_RAID });
    else if (type === "crypto_LUKS") closed.push({ place, why: ENCRYPTED });
    else if (fileSystemOf(type)?.provingMount === undefined) {
      if (type !== LVM) leftOut.push({ place, why: proofText(`${type} is not compared`) });
    } else if (uuid === undefined) closed.push({ place, why: "it has no UUID" });
    else volumes.push(volume);
  }
  return { volumes, leftOut, closed };
}

/** Throws if the kernel would still let programs write to it. */
async function writeProtect(device: string): Promise<void> {
  const path = join("/dev", device);
  await runGuestTool("/usr/sbin/blockdev", "--setro", path);
  const { output } = await runGuestTool("/usr/sbin/blockdev", "--getro", path);
  if (output.trim() !== "1") throw new Error(`${path} could not be write-protected`);
}

async function seenMount({ place, volume }: { place: string; volume: StillVolume }): Promise<SeenMount> {
  const { device, type = "" } = volume;
  const about = await provableContentOf(join("/dev", device));
  return { mountPoint: place, root: "/", leadsTo: device, id: mountIdAt(place), type, ...about };
}

function mountIdAt(place: string): string {
  const fd = openSync(place, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return mountIdOf(fd);
  } finally {
    closeSync(fd);
  }
}
