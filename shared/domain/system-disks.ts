/** Which disks of a machine hold what its firmware starts. */
import type { Disk, Inventory } from "../protocol/inventory.ts";
import { bootFirmware, ESP_TYPE } from "./boot-hardware.ts";

/** Where Linux keeps what the boot loader reads; the first that is a mount point counts. */
const BOOT_FOLDERS = ["/boot", "/"];

/**
 * The names of the disks among `chosen` that the machine's firmware could have started this system from,
 * because the system's own mounts lead there. Several are copies of each other. None if the inventory does
 * not say.
 *
 * A disk that merely has boot code, an EFI system partition or an active partition is not one of them: many
 * data disks once were another system's.
 */
export function systemDisks(inventory: Inventory | undefined, chosen: readonly string[]): string[] {
  if (!inventory) return [];
  const disks = inventory.disks.filter(({ name }) => chosen.includes(name));
  const found =
    bootFirmware(inventory, chosen) === "uefi"
      ? espDisks(inventory, disks)
      : bootFolderDisks(inventory, disks);
  return found.map(({ name }) => name);
}

/** The disk with the mounted EFI system partition; if none is mounted, the only one that has one. */
function espDisks({ bootLoader: { espPath } }: Inventory, disks: readonly Disk[]): Disk[] {
  const mounted = disks.filter(({ partitions }) =>
    partitions.some(({ mountPoints }) => espPath !== undefined && mountPoints.includes(espPath)),
  );
  if (mounted.length > 0) return mounted;
  const having = disks.filter(({ partitions }) => partitions.some(({ type }) => type === ESP_TYPE));
  return having.length === 1 ? having : [];
}

function bootFolderDisks(inventory: Inventory, disks: readonly Disk[]): Disk[] {
  for (const folder of BOOT_FOLDERS) {
    const devices = devicesOf(inventory, folder);
    const found = disks.filter(
      (disk) =>
        devices.has(disk.path) ||
        disk.mountPoints.includes(folder) ||
        disk.partitions.some(
          ({ path, mountPoints }) =>
            mountPoints.includes(folder) || (path !== undefined && devices.has(path)),
        ),
    );
    if (found.length > 0) return found;
  }
  return [];
}

/** The devices under the logical volume or array that is mounted there; arrays may be below volumes. */
function devicesOf({ volumeGroups, raidArrays }: Inventory, folder: string): Set<string> {
  const groups = volumeGroups.filter(({ logicalVolumes }) =>
    logicalVolumes.some(({ mountPoints }) => mountPoints.includes(folder)),
  );
  const devices = new Set(groups.flatMap(({ physicalVolumes }) => physicalVolumes));
  for (const { path, mountPoints, members } of raidArrays)
    if (mountPoints.includes(folder) || devices.has(path)) for (const member of members) devices.add(member);
  return devices;
}
