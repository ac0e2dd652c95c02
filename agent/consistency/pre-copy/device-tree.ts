import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { readAllMounts } from "./all-mounts.ts";
import { readSuperblocks } from "./superblocks.ts";
import type { DeviceInTree, DeviceTree } from "./volumes-to-freeze.ts";

/** The devices and mounts of this machine, as they are now. */
export async function readDeviceTree(): Promise<DeviceTree> {
  return {
    mounts: await readAllMounts(),
    superblocks: await readSuperblocks(),
    numberOf: async (path) => {
      const stats = await stat(path).catch(() => undefined);
      return stats?.isBlockDevice() ? deviceNumber(stats.rdev) : undefined;
    },
    deviceAt: async (mountPoint) => {
      const stats = await stat(mountPoint).catch(() => undefined);
      return stats?.isDirectory() ? deviceNumber(stats.dev) : undefined;
    },
    describe,
  };
}

async function describe(device: string): Promise<DeviceInTree | undefined> {
  const folder = `/sys/dev/block/${device}`;
  const target = await readlink(folder).catch(() => undefined);
  if (target === undefined) return undefined;
  const number = await text(join(folder, "partition"));
  const disk = number && (await text(join("/sys/dev/block", dirname(target), "dev")));
  const backingFile = await text(join(folder, "loop/backing_file"));
  const mappedName = await text(join(folder, "dm/name"));
  const slaves = await readdir(join(folder, "slaves")).catch(() => []);
  const parts = await Promise.all(slaves.map((slave) => text(join("/sys/class/block", slave, "dev"))));
  return {
    kernelName: basename(target),
    ...(number && disk && { partition: { number: Number(number), disk } }),
    parts: parts.filter((part) => part !== undefined),
    ...(backingFile && { backingFile }),
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
