import { constants } from "node:fs";
import { open, readdir, readFile, readlink, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { findMountId } from "../../machine/mount-id.ts";
import { readAllMounts } from "./all-mounts.ts";
import { readSuperblocks } from "./superblocks.ts";
import type { DeviceInTree, DeviceTree } from "./volumes-to-freeze.ts";

/** Opens the place alone: also where nothing can be read any more. Node has no name for it. */
const O_PATH = 0o10000000;

/** The devices and mounts of this machine, as they are now. */
export async function readDeviceTree(): Promise<DeviceTree> {
  const mounts = await readAllMounts();
  return {
    mounts,
    superblocks: await readSuperblocks({ mounts, numberOf }),
    numberOf,
    deviceAt: async (path) => {
      const id = await mountIdAt(path);
      return mounts.find((mount) => mount.id === id)?.device;
    },
    describe,
  };
}

async function numberOf(path: string): Promise<string | undefined> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.isBlockDevice() ? deviceNumber(stats.rdev) : undefined;
}

/**
 * The id of the mount that a folder's path leads to. Not by the device that `stat` gives: each subvolume of a
 * btrfs has another one.
 */
async function mountIdAt(path: string): Promise<string | undefined> {
  const folder = await open(path, O_PATH | constants.O_DIRECTORY).catch(() => undefined);
  if (!folder) return undefined;
  try {
    return findMountId(folder.fd);
  } finally {
    await folder.close();
  }
}

async function describe(device: string): Promise<DeviceInTree | undefined> {
  const folder = `/sys/dev/block/${device}`;
  const target = await readlink(folder).catch(() => undefined);
  if (target === undefined) return undefined;
  const number = await text(join(folder, "partition"));
  const disk = number && (await text(join("/sys/dev/block", dirname(target), "dev")));
  const backing = await text(join(folder, "loop/backing_file"));
  // A loop device can also be a part of another device, or all of it.
  const backingDevice = backing && (await numberOf(backing));
  const mappedName = await text(join(folder, "dm/name"));
  const slaves = await readdir(join(folder, "slaves")).catch(() => []);
  const parts = await Promise.all(slaves.map((slave) => text(join("/sys/class/block", slave, "dev"))));
  if (backingDevice) parts.push(backingDevice);
  return {
    kernelName: basename(target),
    ...(number && disk && { partition: { number: Number(number), disk } }),
    parts: parts.filter((part) => part !== undefined),
    ...(backing && !backingDevice && { backingFile: backing }),
    ...(mappedName && { mappedName }),
  };
}

async function text(path: string): Promise<string | undefined> {
  return (await readFile(path, "utf8").catch(() => undefined))?.trim();
}

/** `major:minor` of a number that `stat` gives: 12 bits of major above 8 of minor, the rest higher up. */
export function deviceNumber(device: number): string {
  const number = BigInt(device);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
