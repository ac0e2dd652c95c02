import { btrfs } from "./descriptors/btrfs.ts";
import { detectedOnly, windowsOnly, xfsParts } from "./descriptors/detected.ts";
import { exfat } from "./descriptors/exfat.ts";
import { ext } from "./descriptors/ext.ts";
import { fat } from "./descriptors/fat.ts";
import { ntfs } from "./descriptors/ntfs.ts";
import { swap } from "./descriptors/swap.ts";
import { xfs } from "./descriptors/xfs.ts";
import { type BootImageParts, type FileSystem, typesOf } from "./file-system.ts";

/**
 * File systems and swap, in the order in which they name a volume that can be read in several ways. What
 * probing, disk usage, the boot image and GRUB know of file systems derives from this list.
 */
export const FILE_SYSTEMS: readonly FileSystem[] = [
  swap,
  xfs,
  xfsParts,
  btrfs,
  ext,
  ntfs,
  exfat,
  windowsOnly,
  fat,
  detectedOnly,
];

/** The file system of volumes that are reported as `type`. */
export function fileSystemOf(type: string): FileSystem | undefined {
  return FILE_SYSTEMS.find((each) => typesOf(each).includes(type));
}

/** What the boot image has for all file systems. */
export const FILE_SYSTEM_PARTS: Required<BootImageParts> = {
  modules: FILE_SYSTEMS.flatMap(({ bootImage }) => bootImage?.modules ?? []),
  packages: FILE_SYSTEMS.flatMap(({ bootImage }) => bootImage?.packages ?? []),
  programs: FILE_SYSTEMS.flatMap(({ bootImage }) => bootImage?.programs ?? []),
  links: Object.assign({}, ...FILE_SYSTEMS.map(({ bootImage }) => bootImage?.links)),
};
