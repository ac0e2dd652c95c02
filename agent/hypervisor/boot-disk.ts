import { openDiskImage } from "../disk-image/disk-image.ts";
import { hasBootCode } from "../filesystems/mbr.ts";
import type { GuestDisk } from "./guest.ts";

/**
 * The disks, with those first that a BIOS can start, because it tries only the first one. Their given order
 * means nothing: a kernel names disks in the order in which it finds them, which can differ at each start.
 */
export async function startableFirst(disks: readonly GuestDisk[]): Promise<GuestDisk[]> {
  // The hypervisor reports why one cannot be read.
  const startable = await Promise.all(disks.map((disk) => isStartable(disk).catch(() => false)));
  return [...disks.filter((_, index) => startable[index]), ...disks.filter((_, index) => !startable[index])];
}

async function isStartable({ path, format }: GuestDisk): Promise<boolean> {
  const reader = await openDiskImage(path, format);
  try {
    return await hasBootCode(reader);
  } finally {
    await reader.close();
  }
}
