import { type BcdObject, BOOT_MANAGER, FIRMWARE_BOOT_MANAGER } from "./bcd-output.ts";

/** Arguments of `bcdedit`. */
export type BcdCommand = readonly string[];

export const ENUMERATE: BcdCommand = ["/enum", "all", "/v"];

/** Finds our objects again, even after an interruption between creating them and recording it. */
export function bcdLabel(jobId: string): string {
  return `Causeway ${jobId}`;
}

/**
 * On UEFI: an entry of the firmware, like that of the Windows boot manager, on the same partition (ESP).
 * Prints the new identifier.
 */
export function createFirmwareEntry(jobId: string): BcdCommand {
  return ["/copy", BOOT_MANAGER, "/d", bcdLabel(jobId)];
}

/**
 * `path`: the unified kernel image, from the root of the ESP, with backslashes. The last command makes the
 * next start special.
 */
export function armFirmwareEntry(id: string, path: string): BcdCommand[] {
  return [
    ["/set", id, "path", path],
    ["/set", FIRMWARE_BOOT_MANAGER, "displayorder", id, "/addlast"],
    ["/set", FIRMWARE_BOOT_MANAGER, "bootsequence", id],
  ];
}

/**
 * On BIOS: starting a Windows PE image in a RAM disk needs an object that describes the RAM disk, and one
 * that starts from it.
 */
export function createRamdiskOptions(jobId: string): BcdCommand {
  return ["/create", "/d", bcdLabel(jobId), "/device"];
}

export function createRamdiskLoader(jobId: string): BcdCommand {
  return ["/create", "/d", bcdLabel(jobId), "/application", "osloader"];
}

/**
 * `folder`: contains `boot.wim` and `boot.sdi`, such as `C:\causeway\JOB`. The last command makes the next
 * start special.
 */
export function armRamdiskLoader({
  loader,
  options,
  folder,
}: {
  loader: string;
  options: string;
  folder: string;
}): BcdCommand[] {
  const drive = folder.slice(0, 2);
  const path = folder.slice(2);
  const ramdisk = `ramdisk=[${drive}]${path}\\boot.wim,${options}`;
  return [
    ["/set", options, "ramdisksdidevice", `partition=${drive}`],
    ["/set", options, "ramdisksdipath", `${path}\\boot.sdi`],
    ["/set", loader, "device", ramdisk],
    ["/set", loader, "osdevice", ramdisk],
    ["/set", loader, "path", "\\windows\\system32\\boot\\winload.exe"],
    ["/set", loader, "systemroot", "\\windows"],
    ["/set", loader, "winpe", "yes"],
    ["/bootsequence", loader],
  ];
}

/** Undoes what makes the next start special, if it is ours. */
export function disarmCommands(jobId: string, objects: readonly BcdObject[]): BcdCommand[] {
  const ours = ownObjects(jobId, objects);
  return objects
    .filter(({ elements }) => elements.bootsequence?.some((id) => ours.includes(id.toLowerCase())))
    .map(({ id }) => ["/deletevalue", id, "bootsequence"]);
}

/** Removes everything of ours, the one-shot first. Empty if there is nothing of ours. */
export function restoreCommands(jobId: string, objects: readonly BcdObject[]): BcdCommand[] {
  const deletions = ownObjects(jobId, objects).map((id): BcdCommand => ["/delete", id, "/f", "/cleanup"]);
  return [...disarmCommands(jobId, objects), ...deletions];
}

function ownObjects(jobId: string, objects: readonly BcdObject[]): string[] {
  const label = bcdLabel(jobId);
  return objects.filter(({ elements }) => elements.description?.[0] === label).map(({ id }) => id);
}
