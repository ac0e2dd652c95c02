import type { OpenDevice } from "../pre-copy/raw-volumes.ts";
import { type DeviceTree, devicesWith, deviceUnder, lookBelow } from "../pre-copy/volumes-to-freeze.ts";
import { isWithin } from "../pre-copy/within.ts";

/** What uses a disk, by device numbers in /sys. */
export interface Users {
  tree: DeviceTree;
  /** Devices that are swap space in use. */
  swaps: readonly string[];
  /** Devices to which programs write by themselves. */
  open: readonly OpenDevice[];
}

/** Where file systems are mounted that only a boot loader's update writes to. */
const BOOT = /^\/(?:boot|efi)(?:\/|$)/;

/**
 * Why a disk cannot be read by snapshots of these logical volumes: something else on it is in use and may
 * change at any time. Returns `undefined` if nothing is. Swap partitions, and partitions that are mounted for
 * boot loaders, do not count: see `watchedPartitions`.
 */
export async function obstacleOutside(
  disk: string,
  volumes: ReadonlySet<string>,
  { tree, swaps, open }: Users,
): Promise<string | undefined> {
  const isOutside = async (device: string): Promise<boolean> =>
    (await lookBelow(tree, device)).disks.includes(disk) && !(await isWithin(tree, device, volumes));
  const mounted = await mountPoints(tree);
  for (const [device, points] of mounted) {
    if (points.some((point) => BOOT.test(point)) && (await isPartitionOf(tree, device, disk))) continue;
    if (await isOutside(device))
      return `${(await lookBelow(tree, device)).name} (${points[0] ?? "mounted where the agent cannot see it"}) is not on a logical volume`;
  }
  for (const device of swaps)
    if (!(await isPartitionOf(tree, device, disk)) && (await isOutside(device)))
      return `swap space on ${(await lookBelow(tree, device)).name} is neither a partition nor a logical volume`;
  for (const { device, program } of open)
    if (!mounted.has(device) && (await isOutside(device)))
      return `${program} writes to ${(await lookBelow(tree, device)).name}, which is not on a logical volume`;
  return undefined;
}

/** Where each mounted device is mounted, as far as that can be seen. */
async function mountPoints(tree: DeviceTree): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>(
    tree.superblocks.flatMap(({ devices }) => devices.map((device): [string, string[]] => [device, []])),
  );
  for (const mount of tree.mounts) {
    const under = await deviceUnder(tree, mount);
    for (const device of under === undefined ? [] : devicesWith(tree, under))
      found.set(device, [...(found.get(device) ?? []), mount.mountPoint]);
  }
  return found;
}

async function isPartitionOf(tree: DeviceTree, device: string, disk: string): Promise<boolean> {
  return (await tree.describe(device))?.partition?.disk === disk;
}
