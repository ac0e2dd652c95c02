import { readFile, stat } from "node:fs/promises";
import { pathText } from "#shared/path-text.ts";
import { type LeftOut, proofText } from "#shared/protocol/proof.ts";
import type { LocalDisk } from "../consistency/consistent-view.ts";
import { deviceNumber, readDeviceTree } from "../consistency/pre-copy/device-tree.ts";
import type { DeviceTree } from "../consistency/pre-copy/volumes-to-freeze.ts";
import { openFileReader } from "../disk/reader.ts";
import { mayHaveEncryptedFolders } from "../filesystems/ext4-superblock.ts";
import { fileSystemOf } from "../filesystems/file-systems.ts";
import { probeContent } from "../filesystems/probe.ts";
import { type Mount, parseMountInfo, type RootedMount } from "../machine/mounts.ts";
import type { Tree } from "./hash-trees.ts";

/** What is hashed of the mounted file systems of disks, and what is not. */
export interface MountedTrees {
  trees: Tree[];
  leftOut: LeftOut[];
}

/** A mounted file system, as far as the choice depends on it. Paths are bytes, each as one character. */
export interface SeenMount extends Pick<RootedMount, "id" | "mountPoint" | "type" | "root"> {
  /** The number of the file system, or of the subvolume, to which its mount point leads. */
  leadsTo: string;
  /** Of the file system on its device. */
  uuid: string | undefined;
  /** Another kernel may not be able to read its names, because they are encrypted. */
  mayBeEncrypted: boolean;
}

/** Ends a search in devices that the kernel describes in a circle. */
const DEEPEST = 16;

/** The file systems of these disks that this machine has mounted, as they are now. */
export async function mountedTrees(disks: readonly LocalDisk[]): Promise<MountedTrees> {
  const tree = await readDeviceTree();
  const numbers = new Set<string>();
  for (const { path } of disks) {
    const number = await tree.numberOf(path);
    if (number !== undefined) numbers.add(number);
  }
  const seen: SeenMount[] = [];
  const mounts = parseMountInfo(await readFile("/proc/self/mountinfo", "latin1"));
  for (const mount of mounts) {
    const device = await deviceOf(tree, mount);
    if (device === undefined || !(await isOn(tree, device, numbers))) continue;
    const leadsTo = await folderDevice(mount.mountPoint);
    // A single file is mounted, or another file system over it.
    const isHidden = !mount.device.startsWith("0:") && leadsTo !== mount.device;
    if (leadsTo === undefined || isHidden) continue;
    const about = await tree.describe(device);
    if (about) seen.push({ ...mount, leadsTo, ...(await provableContentOf(`/dev/${about.kernelName}`)) });
  }
  return chooseTrees(
    seen,
    mounts.map(({ mountPoint }) => mountPoint),
  );
}

/** Each part of a file system once, however often it is mounted. `places`: of all mounts. Pure. */
export function chooseTrees(seen: readonly SeenMount[], places: readonly string[]): MountedTrees {
  const kept: SeenMount[] = [];
  const leftOut: MountedTrees["leftOut"] = [];
  for (const mount of seen.toSorted((a, b) => a.root.length - b.root.length)) {
    if (kept.some((other) => other.leadsTo === mount.leadsTo && isWithin(mount.root, other.root))) continue;
    kept.push(mount);
  }
  const trees: Tree[] = [];
  for (const mount of kept) {
    const { id, mountPoint, root } = mount;
    const chosen = identified(mount);
    if ("why" in chosen)
      leftOut.push({ place: proofText(pathText(Buffer.from(mountPoint, "latin1"))), ...chosen });
    else
      trees.push({
        ...{ ...chosen, place: mountPoint, mountId: id, prefix: root.slice(1) },
        mounts: new Set(placesBelow(mountPoint, places)),
      });
  }
  return { trees, leftOut };
}

function placesBelow(top: string, places: readonly string[]): string[] {
  const start = top === "/" ? top : `${top}/`;
  return places.flatMap((place) =>
    place.startsWith(start) && place !== start ? [place.slice(start.length)] : [],
  );
}

/** By what the guest finds it, or why it is left out. */
function identified({ type, uuid, mayBeEncrypted }: SeenMount): { fileSystem: string } | { why: string } {
  if (!fileSystemOf(type)?.provingMount) return { why: `${proofText(type)} is not compared` };
  if (mayBeEncrypted) return { why: "it can have encrypted folders" };
  return uuid === undefined ? { why: "it has no UUID" } : { fileSystem: uuid.toLowerCase() };
}

function isWithin(root: string, outer: string): boolean {
  return outer === "/" || root === outer || root.startsWith(`${outer}/`);
}

/** File systems over several devices have a number of their own; their source has one. */
async function deviceOf(tree: DeviceTree, { device, source }: Mount): Promise<string | undefined> {
  if (!device.startsWith("0:")) return device;
  return source.startsWith("/dev/") ? tree.numberOf(source) : undefined;
}

/**
 * Whether a device is made of these disks. A file on one of them is no part of a disk that a guest could
 * mount.
 */
async function isOn(
  tree: DeviceTree,
  device: string,
  disks: ReadonlySet<string>,
  left = DEEPEST,
): Promise<boolean> {
  if (disks.has(device)) return true;
  const about = left > 0 ? await tree.describe(device) : undefined;
  if (!about) return false;
  const below = about.partition ? [about.partition.disk] : about.parts;
  for (const part of below) if (await isOn(tree, part, disks, left - 1)) return true;
  return false;
}

async function folderDevice(path: string): Promise<string | undefined> {
  const stats = await stat(Buffer.from(path, "latin1")).catch(() => undefined);
  return stats?.isDirectory() ? deviceNumber(stats.dev) : undefined;
}

/** What chooses a file system to be hashed, by its own device. */
export async function provableContentOf(device: string): Promise<Pick<SeenMount, "uuid" | "mayBeEncrypted">> {
  const reader = await openFileReader(device);
  try {
    const { type, uuid } = await probeContent(reader);
    return { uuid, mayBeEncrypted: type === "ext4" && (await mayHaveEncryptedFolders(reader)) };
  } finally {
    await reader.close();
  }
}
