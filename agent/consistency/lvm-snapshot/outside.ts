import type { OpenDevice } from "../pre-copy/raw-volumes.ts";
import {
  type DeviceTree,
  deviceOfFile,
  devicesWith,
  deviceUnder,
  lookBelow,
} from "../pre-copy/volumes-to-freeze.ts";

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
/** Ends a search in devices that the kernel describes in a circle. */
const DEEPEST = 16;

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

/** Whether every byte of a device is in one of these volumes, perhaps through other devices. */
async function isWithin(
  tree: DeviceTree,
  device: string,
  volumes: ReadonlySet<string>,
  left = DEEPEST,
): Promise<boolean> {
  if (volumes.has(device)) return true;
  const about = left > 0 ? await tree.describe(device) : undefined;
  if (!about) return false;
  const file = about.backingFile === undefined ? undefined : await deviceOfFile(tree, about.backingFile);
  const lower = [
    ...about.parts,
    ...(about.partition ? [about.partition.disk] : []),
    ...(file === undefined ? [] : [file]),
  ];
  const within = await Promise.all(lower.map((one) => isWithin(tree, one, volumes, left - 1)));
  return within.length > 0 && within.every(Boolean);
}
