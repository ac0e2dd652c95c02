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

export interface RestoreFirstOptions {
  saved: SavedBootState;
  machine: BootMachine;
  /** What this system sees. */
  disks: readonly Disk[];
  /** Paths of those among them that are the job's. */
  own: readonly string[];
}

/**
 * Gives the boot state back, before anything else is done with the disks. Throws where a file system cannot
 * be found or mounted, and `BootStateNotRestoredError` where something still differs; the disks are protected
 * again in any case.
 */
export async function restoreFirst({
  saved,
  machine,
  disks,
  own,
}: RestoreFirstOptions): Promise<Attestation> {
  const mounted: Mounted[] = [];
  try {
    for (const { uuid, type } of volumesToMount(saved)) {
      const device = deviceOf(uuid, disks, own);
      const mountPoint = join(MOUNTS, uuid);
      await mkdir(mountPoint, { recursive: true });
      mounted.push({ uuid, mountPoint, ...device });
      await protect(machine, device, false);
      await runOrThrow(machine, "mount", "-t", type, "-o", "rw,noatime", device.partition, mountPoint);
    }
    const places = Object.fromEntries(mounted.map(({ uuid, mountPoint }) => [uuid, mountPoint]));
    return await restoreBootState(saved, machine, VolumeMap.of(places));
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
 * Where a file system lies: on a partition, or on a whole disk. Copies of a disk have the same UUIDs: then
 * only the job's own disks (`own`, by their paths) count. Throws `VolumeNotMountedError`, or
 * `VolumeAmbiguousError` where nothing tells them apart.
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
