import { type DeviceTree, devicesWith, deviceUnder, lookBelow } from "./volumes-to-freeze.ts";

/** A device that a program of the machine holds open for writing, or to which the kernel itself writes. */
export interface OpenDevice {
  /** Its number in /sys. */
  device: string;
  /** The program's name, as the kernel has it, or what the kernel does with the device. */
  program: string;
}

/**
 * A volume to which a program writes by itself, without a file system: a database's, or the disk of a virtual
 * machine. Freezing file systems does not stop these writes.
 */
export interface RawVolume {
  /** As of `VolumeToFreeze`. */
  name: string;
  /** The whole disks that have its bytes, as their numbers in /sys. */
  disks: string[];
  program: string;
}

/**
 * The raw volumes of which any byte is on one of these disks. `open` has no device that the kernel has made
 * something else of, such as a disk with partitions: monitoring programs hold those open.
 */
export async function findRawVolumes(
  tree: DeviceTree,
  disks: readonly string[],
  open: readonly OpenDevice[],
): Promise<RawVolume[]> {
  const found = new Map<string, RawVolume>();
  const under = await Promise.all(tree.mounts.map((mount) => deviceUnder(tree, mount)));
  const mounted = new Set([
    ...under.flatMap((device) => (device === undefined ? [] : devicesWith(tree, device))),
    ...tree.superblocks.flatMap(({ devices }) => devices),
  ]);
  for (const { device, program } of open) {
    if (found.has(device) || mounted.has(device)) continue;
    const below = await lookBelow(tree, device);
    if (below.disks.some((disk) => disks.includes(disk)))
      found.set(device, { name: below.name, disks: below.disks, program });
  }
  return [...found.values()];
}
