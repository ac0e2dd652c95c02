import type { Mount } from "../../machine/mounts.ts";

/** A file system that is mounted, and what it is made of. */
export interface VolumeToFreeze {
  /** Of several mount points of one file system, one that leads to it. */
  mountPoint: string;
  type: string;
  /** No program can write to it. */
  isReadOnly: boolean;
  /** Its name for operators: `partition 2`, `disk`, or that of a logical volume. */
  name: string;
  /** The whole disks that have its bytes, as their numbers in /sys. */
  disks: string[];
  /** How many file systems are below it: it is in a file of one of these. */
  depth: number;
  /** The devices that it is on directly, as their numbers in /sys. */
  devices: readonly string[];
}

/** A file system that the kernel has mounted, wherever that is. */
export interface Superblock {
  type: string;
  /** The devices that it is on directly, as their numbers in /sys; btrfs has several, or one with a log. */
  devices: readonly string[];
}

/** A file system that is mounted, but where, this process cannot see: it cannot be frozen. */
export interface HiddenVolume {
  /** As of `VolumeToFreeze`. */
  name: string;
  type: string;
  disks: string[];
}

/** What the search needs to know about the machine. */
export interface DeviceTree {
  mounts: readonly Mount[];
  superblocks: readonly Superblock[];
  /** Number of the device with this path. */
  numberOf(path: string): Promise<string | undefined>;
  /** The device of the mount that a folder's path leads to; `undefined` if it leads to none of `mounts`. */
  deviceAt(path: string): Promise<string | undefined>;
  /** What /sys says of a device by its number. */
  describe(device: string): Promise<DeviceInTree | undefined>;
}

export interface DeviceInTree {
  kernelName: string;
  /** If it is a partition. */
  partition?: { number: number; disk: string };
  /** What it is made of. */
  parts: readonly string[];
  /** The file behind a loop device. */
  backingFile?: string;
  /** The name of a mapped device. */
  mappedName?: string;
}

/** Ends a search in devices that the kernel describes in a circle, or deeper than any real machine. */
const DEEPEST = 16;

/**
 * The mounted file systems of which any byte is on one of these disks, in the order in which they must be
 * frozen: those in files of others first, the root last.
 */
export async function findVolumesToFreeze(
  tree: DeviceTree,
  disks: readonly string[],
): Promise<VolumeToFreeze[]> {
  const found = new Map<string, VolumeToFreeze>();
  for (const mount of tree.mounts) {
    const device = await deviceUnder(tree, mount);
    if (device === undefined || found.has(device)) continue;
    const devices = devicesWith(tree, device);
    const below = await lookBelowAll(tree, devices);
    if (!below.disks.some((disk) => disks.includes(disk))) continue;
    // Another file system may be mounted over it; freezing that one would freeze the wrong one.
    if ((await tree.deviceAt(mount.mountPoint)) !== mount.device) continue;
    const { mountPoint, type, isReadOnly } = mount;
    const volume = { ...below, devices, mountPoint, type, isReadOnly };
    for (const one of devices) found.set(one, volume);
  }
  return [...new Set(found.values())].sort(byFreezeOrder);
}

/**
 * The mounted file systems of which any byte is on one of these disks, and that are not among `volumes`. One
 * that is read-only and not in the kernel's list does not count: no program can change it.
 */
export async function findHiddenVolumes(
  tree: DeviceTree,
  disks: readonly string[],
  volumes: readonly VolumeToFreeze[],
): Promise<HiddenVolume[]> {
  const seen = new Set(volumes.flatMap(({ devices }) => devices));
  const hidden: HiddenVolume[] = [];
  // Under others, for example: of most kinds, the kernel has no list.
  for (const { type, devices } of [...tree.superblocks, ...(await writableMounts(tree))]) {
    if (devices.some((device) => seen.has(device))) continue;
    for (const device of devices) seen.add(device);
    const below = await lookBelowAll(tree, devices);
    if (below.disks.some((disk) => disks.includes(disk)))
      hidden.push({ type, name: below.name, disks: below.disks });
  }
  return hidden;
}

async function writableMounts(tree: DeviceTree): Promise<Superblock[]> {
  const found: Superblock[] = [];
  for (const mount of tree.mounts.filter(({ isReadOnly }) => !isReadOnly)) {
    const device = await deviceUnder(tree, mount);
    if (device !== undefined) found.push({ type: mount.type, devices: devicesWith(tree, device) });
  }
  return found;
}

/** The devices of the file system that this one belongs to. */
export function devicesWith(tree: DeviceTree, device: string): readonly string[] {
  return tree.superblocks.find(({ devices }) => devices.includes(device))?.devices ?? [device];
}

function byFreezeOrder(a: VolumeToFreeze, b: VolumeToFreeze): number {
  const isRoot = (volume: VolumeToFreeze) => Number(volume.mountPoint === "/");
  return (
    b.depth - a.depth ||
    isRoot(a) - isRoot(b) ||
    b.mountPoint.split("/").length - a.mountPoint.split("/").length ||
    a.mountPoint.localeCompare(b.mountPoint)
  );
}

/** File systems over several devices, such as btrfs, have a number of their own; their source has one. */
export async function deviceUnder(tree: DeviceTree, { device, source }: Mount): Promise<string | undefined> {
  if (!device.startsWith("0:")) return device;
  return source.startsWith("/dev/") ? tree.numberOf(source) : undefined;
}

/** What a device is made of. */
interface Below {
  name: string;
  disks: string[];
  depth: number;
}

/** What a file system over these devices is made of. */
async function lookBelowAll(
  tree: DeviceTree,
  devices: readonly string[],
  left: number = DEEPEST,
): Promise<Below> {
  const all = await Promise.all(devices.map((device) => lookBelow(tree, device, left)));
  return {
    name: [...new Set(all.map(({ name }) => name))].join(" and "),
    disks: [...new Set(all.flatMap(({ disks }) => disks))],
    depth: Math.max(0, ...all.map(({ depth }) => depth)),
  };
}

/** Down to whole disks, through partitions, mapped devices, arrays, and files behind loop devices. */
export async function lookBelow(tree: DeviceTree, device: string, left = DEEPEST): Promise<Below> {
  const about = left > 0 ? await tree.describe(device) : undefined;
  if (!about) return { name: device, disks: [], depth: 0 };
  const { partition, parts, backingFile, mappedName } = about;
  if (partition) {
    const disk = await lookBelow(tree, partition.disk, left - 1);
    return { name: `partition ${partition.number}`, disks: disk.disks, depth: disk.depth };
  }
  const name = mappedName ?? (parts.length > 0 ? about.kernelName : "disk");
  const lower = await Promise.all(parts.map((part) => lookBelow(tree, part, left - 1)));
  // The file's own file system is frozen too, so what is below it counts.
  const file = backingFile === undefined ? undefined : await belowFile(tree, backingFile, left - 1);
  const disks = lower.flatMap((each) => each.disks);
  return {
    name,
    disks: [...new Set([device, ...disks, ...(file?.disks ?? [])])],
    depth: Math.max(0, ...lower.map((each) => each.depth), file ? file.depth + 1 : 0),
  };
}

async function belowFile(tree: DeviceTree, file: string, left: number): Promise<Below | undefined> {
  const device = await deviceOfFile(tree, file);
  if (device === undefined) return undefined;
  return lookBelowAll(tree, devicesWith(tree, device), left);
}

/** The device of the file system that has this file: that of the deepest mount point above it. */
export async function deviceOfFile(tree: DeviceTree, file: string): Promise<string | undefined> {
  const [mount] = tree.mounts
    .filter(({ mountPoint }) => mountPoint === "/" || file.startsWith(`${mountPoint}/`))
    .sort((a, b) => b.mountPoint.length - a.mountPoint.length);
  return mount && deviceUnder(tree, mount);
}
