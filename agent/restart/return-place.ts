/** Where the boot environment can fence a source for its return. */
import { posix } from "node:path";
import { ReturnNotFencedError } from "#shared/errors.ts";
import type { FileLocation } from "../boot-loaders/volumes.ts";
import { type MountedVolume, readVolumes } from "../boot-loaders/volumes.ts";
import { fstabEntries } from "../machine/fstab.ts";
import { type Machine, readText } from "../machine/machine.ts";

export interface ReturnPlace {
  /** The file in the source's own system. */
  path: string;
  /** Of the file system that has it. */
  mountPoint: string;
  /** As the boot environment finds it, and as `mount -t` takes its type. */
  location: FileLocation;
  type: string;
}

/**
 * A file on the file system that the boot image is staged on, which the boot environment can write. `folder`:
 * where it is staged. Throws `ReturnNotFencedError` if the source's own system may start its services before
 * that file system is mounted.
 */
export async function returnPlaceOf(machine: Machine, folder: string): Promise<ReturnPlace> {
  const volumes = await readVolumes(machine);
  const volume = volumes.holding(folder);
  if (!volume?.uuid) throw new ReturnNotFencedError(folder, "it cannot be found again by a UUID");
  const { mountPoint, type } = volume;
  const path = mountPoint === "/" ? "/etc/causeway/fenced" : posix.join(mountPoint, "causeway-fenced");
  const location = volumes.locationOf(path);
  if (location?.volume !== volume.uuid)
    throw new ReturnNotFencedError(path, "another file system is mounted below it");
  const problem = mountPoint === "/" ? undefined : await whyMaybeLate(machine, volume);
  if (problem !== undefined) throw new ReturnNotFencedError(mountPoint, problem);
  return { path, mountPoint, location, type };
}

/** Why services may start before it is mounted, or without it; `undefined` if they do not. */
async function whyMaybeLate(machine: Machine, { mountPoint }: MountedVolume): Promise<string | undefined> {
  const entries = fstabEntries((await readText(machine, "/etc/fstab")) ?? "");
  const options = entries.find(({ place }) => place === mountPoint)?.options;
  if (!options) return "/etc/fstab does not name it";
  const weak = options.split(",").find((one) => /^(noauto|nofail|x-systemd\.automount)$/.test(one));
  return weak && `/etc/fstab has it with ${weak}`;
}
