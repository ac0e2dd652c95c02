import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DeviceTree } from "./pre-copy/volumes-to-freeze.ts";

const EXT4 = "/sys/fs/ext4";
const BTRFS = "/sys/fs/btrfs";

/**
 * What the kernel has noted of the mounted file system on devices with these names: that it has found errors
 * in it, in words. `undefined` if it has noted none. XFS notes none; one that has shut down cannot be frozen.
 */
export async function faultOn(
  kernelNames: readonly string[],
  places: { ext4: string; btrfs: string } = { ext4: EXT4, btrfs: BTRFS },
): Promise<string | undefined> {
  let errors = await btrfsErrors(places.btrfs, kernelNames);
  for (const name of kernelNames)
    errors += Number((await text(join(places.ext4, name, "errors_count"))) ?? 0);
  if (errors === 0) return undefined;
  return `has had ${errors} ${errors === 1 ? "error" : "errors"} by its kernel's count, so it may not be whole`;
}

/** As `faultOn`, of the devices with these numbers. */
export async function faultOnDevices(
  tree: DeviceTree,
  devices: readonly string[],
): Promise<string | undefined> {
  const about = await Promise.all(devices.map((device) => tree.describe(device)));
  return faultOn(about.flatMap((device) => device?.kernelName ?? []));
}

/** On all its devices: writes and reads that failed, and blocks that were not as they should be. */
async function btrfsErrors(folder: string, kernelNames: readonly string[]): Promise<number> {
  let errors = 0;
  for (const uuid of await namesIn(folder)) {
    const devices = await namesIn(join(folder, uuid, "devices"));
    if (!devices.some((name) => kernelNames.includes(name))) continue;
    for (const id of await namesIn(join(folder, uuid, "devinfo"))) {
      const stats = (await text(join(folder, uuid, "devinfo", id, "error_stats"))) ?? "";
      for (const [, count] of stats.matchAll(/^\w+_errs (\d+)$/gm)) errors += Number(count);
    }
  }
  return errors;
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(absent)) ?? [];
}

async function text(path: string): Promise<string | undefined> {
  return (await readFile(path, "utf8").catch(absent))?.trim();
}

/** It is of another kind, the kernel does not count its errors, or it was unmounted just now. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (!["ENOENT", "ENOTDIR", "ENODEV"].includes(error.code ?? "")) throw error;
}
