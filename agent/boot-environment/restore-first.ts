import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { VolumeAmbiguousError, VolumeNotMountedError } from "#shared/errors.ts";
import type { Disk } from "#shared/protocol/inventory.ts";
import type { Attestation } from "../boot-loaders/attest.ts";
import { restoreBootState } from "../boot-loaders/restore.ts";
import { type SavedBootState, volumesToMount } from "../boot-loaders/saved-state.ts";
import { VolumeMap } from "../boot-loaders/volumes.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import { runOrThrow } from "../machine/machine.ts";

const MOUNTS = "/run/causeway/original";

export interface OwnDisks {
  machine: BootMachine;
  /** The disks that this system sees. */
  disks: readonly Disk[];
  /** Paths of those among them that belong to the job. */
  own: readonly string[];
  /** Below which they are mounted; tests have another one. */
  mounts?: string;
}

/**
 * Restores the boot state, before anything else is done with the disks. Throws if a file system cannot be
 * found or mounted, and `BootStateNotRestoredError` if something still differs. Write-protects the disks
 * again in any case.
 */
export function restoreFirst(saved: SavedBootState, options: OwnDisks): Promise<Attestation> {
  return whileWritable(volumesToMount(saved), options, (volumes) =>
    restoreBootState(saved, options.machine, volumes),
  );
}

/**
 * Does `work` while these file systems are mounted, and can be written. Throws if one cannot be found or
 * mounted. Write-protects the disks again in any case.
 */
export async function whileWritable<T>(
  volumes: readonly { uuid: string; type: string }[],
  { machine, disks, own, mounts = MOUNTS }: OwnDisks,
  work: (volumes: VolumeMap) => Promise<T>,
): Promise<T> {
  const mounted: Mounted[] = [];
  try {
    for (const { uuid, type } of volumes) {
      const device = deviceOf(uuid, disks, own);
      const mountPoint = join(mounts, uuid);
      await mkdir(mountPoint, { recursive: true });
      mounted.push({ uuid, mountPoint, ...device });
      await protect(machine, device, false);
      await runOrThrow(machine, "mount", "-t", type, "-o", "rw,noatime", device.partition, mountPoint);
    }
    const places = Object.fromEntries(mounted.map(({ uuid, mountPoint }) => [uuid, mountPoint]));
    return await work(VolumeMap.of(places));
  } finally {
    for (const each of mounted.reverse()) {
      await machine.run("umount", each.mountPoint);
      await protect(machine, each, true);
    }
  }
}

interface Device {
  disk: string;
  partition: string;
}

interface Mounted extends Device {
  uuid: string;
  mountPoint: string;
}

/**
 * The device that holds a file system: a partition or a whole disk. Copies of a disk have the same UUIDs, so
 * then only the job's own disks (the paths in `own`) count. Throws `VolumeNotMountedError`, or
 * `VolumeAmbiguousError` if the copies cannot be told apart.
 */
export function deviceOf(uuid: string, disks: readonly Disk[], own: readonly string[]): Device {
  const devices = disks.flatMap((disk) => [
    ...(disk.content?.uuid === uuid ? [{ disk: disk.path, partition: disk.path }] : []),
    ...disk.partitions.flatMap(({ path, content }) =>
      path && content.uuid === uuid ? [{ disk: disk.path, partition: path }] : [],
    ),
  ]);
  const candidates = devices.length > 1 ? devices.filter(({ disk }) => own.includes(disk)) : devices;
  const [device, ...others] = candidates;
  if (device && others.length === 0) return device;
  if (devices.length === 0) throw new VolumeNotMountedError(uuid, "/");
  throw new VolumeAmbiguousError(
    uuid,
    devices.map(({ partition }) => partition),
  );
}

/** A partition can be written only if its disk can. */
async function protect(machine: BootMachine, { disk, partition }: Device, readOnly: boolean): Promise<void> {
  const option = readOnly ? "--setro" : "--setrw";
  for (const device of readOnly ? [partition, disk] : [disk, partition])
    await runOrThrow(machine, "blockdev", option, device);
}
