/**
 * Which block devices are disks, and which ones this system's software makes from disks, files or the
 * network.
 */
import { type Machine, readText } from "../machine/machine.ts";

/** By name: memory, loops, CD and floppy drives, device mapper, md, ZFS, DRBD, Ceph, bcache, NBD. */
const MADE_BY_NAME =
  /^(?:loop|ram|zram|sr|fd|dm-|md|nbd|mtdblock|zd|drbd|rbd|rnbd|bcache|ublkb|nullb)\d|^md_|boot\d$|rpmb$/;
/** By place: the same under any name, and SCSI disks that stand for files of this machine. */
const MADE_BY_PLACE = /^\/sys\/devices\/(?:virtual|rbd|tcm_loop_\d+|pseudo_\d+)\//;
/** NVMe's own multipath, which stands for its controllers. */
const NVME_SUBSYSTEM = /^\/sys\/devices\/virtual\/nvme-subsystem\//;

export interface BlockDevice {
  /** As in /sys/block. */
  kernelName: string;
  /** Its folder in the tree of devices, below /sys/devices; empty if unknown. */
  place: string;
}

/** A disk with several paths. */
export interface Multipath {
  /** The device that joins them, such as `dm-0`. */
  kernelName: string;
  wwid: string;
}

/** Every disk of the machine; for a disk with several paths, the first path. */
export async function listDisks(machine: Machine): Promise<(BlockDevice & { multipath?: Multipath })[]> {
  const disks: (BlockDevice & { multipath?: Multipath })[] = [];
  const joined = new Set<string>();
  for (const kernelName of await machine.list("/sys/block")) {
    const device = { kernelName, place: await placeOf(machine, kernelName) };
    if (isMade(device)) continue;
    const multipath = await findMultipath(machine, kernelName);
    if (multipath && joined.has(multipath.wwid)) continue;
    if (multipath) joined.add(multipath.wwid);
    disks.push({ ...device, ...(multipath && { multipath }) });
  }
  return disks;
}

/** Whether this system's software makes the device: another system would not show it. */
export function isMade({ kernelName, place }: BlockDevice): boolean {
  return MADE_BY_NAME.test(kernelName) || (MADE_BY_PLACE.test(place) && !NVME_SUBSYSTEM.test(place));
}

export async function placeOf(machine: Machine, kernelName: string): Promise<string> {
  return (await machine.resolve(`/sys/class/block/${kernelName}`)) ?? "";
}

/** The multipath device that contains this path, by the UUID that multipath gives its devices. */
async function findMultipath(machine: Machine, kernelName: string): Promise<Multipath | undefined> {
  for (const holder of await machine.list(`/sys/block/${kernelName}/holders`)) {
    const wwid = await mapperUuid(machine, holder, "mpath-");
    if (wwid !== undefined) return { kernelName: holder, wwid };
  }
  return undefined;
}

/** The device of a partition of a multipath disk: the device mapper makes it, too. */
export async function findMappedPartition(
  machine: Machine,
  { kernelName, wwid }: Multipath,
  number: number,
): Promise<string | undefined> {
  for (const holder of await machine.list(`/sys/block/${kernelName}/holders`)) {
    if ((await mapperUuid(machine, holder, `part${number}-mpath-`)) === wwid) return holder;
  }
  return undefined;
}

/** What follows the prefix in the device mapper's UUID. */
async function mapperUuid(machine: Machine, kernelName: string, prefix: string): Promise<string | undefined> {
  const uuid = await readText(machine, `/sys/block/${kernelName}/dm/uuid`);
  return uuid?.startsWith(prefix) ? uuid.slice(prefix.length) : undefined;
}
