import { posix } from "node:path";
import { type Machine, readText } from "../../machine/machine.ts";
import type { MountedVolume } from "../volumes.ts";

const DEEPEST = 16;

/**
 * Whether a mounted file system is on an encrypted device, at any level. `undefined` if the kernel does not
 * say.
 */
export async function isOnEncryption(
  machine: Machine,
  { device, source, type }: Pick<MountedVolume, "device" | "source" | "type">,
): Promise<boolean | undefined> {
  // No boot loader reads encrypted ZFS.
  if (type === "zfs") return false;
  const own = await machine.resolve(`/sys/dev/block/${device}`);
  if (own !== undefined) return isBelow(machine, own, 0);
  // For example btrfs, whose mounts have a number of their own.
  const path = source.startsWith("/dev/") ? await machine.resolve(source) : undefined;
  const named = path && (await machine.resolve(`/sys/class/block/${posix.basename(path)}`));
  return named ? isBelow(machine, named, 0) : undefined;
}

async function isBelow(machine: Machine, folder: string, depth: number): Promise<boolean | undefined> {
  if (depth > DEEPEST) return undefined;
  if ((await readText(machine, `${folder}/dm/uuid`))?.startsWith("CRYPT-")) return true;
  const isPartition = (await readText(machine, `${folder}/partition`)) !== undefined;
  const whole = isPartition ? posix.dirname(folder) : folder;
  if (isPartition && (await isBelow(machine, whole, depth + 1))) return true;
  let isKnown = true;
  for (const name of await machine.list(`${folder}/slaves`)) {
    const slave = await machine.resolve(`${folder}/slaves/${name}`);
    const found = slave && (await isBelow(machine, slave, depth + 1));
    if (found === true) return true;
    if (found !== false) isKnown = false;
  }
  return isKnown ? false : undefined;
}
