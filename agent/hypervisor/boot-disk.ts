import { openDiskImage } from "../disk-image/disk-image.ts";
import { hasBootCode } from "../filesystems/mbr.ts";
import type { GuestDisk } from "./guest.ts";

/**
 * The disks with those first that a BIOS can start: it tries only the first one. Their own order says
 * nothing, for a kernel names disks as it finds them, and may find them in another order at each start.
 */
export async function startableFirst(disks: readonly GuestDisk[]): Promise<GuestDisk[]> {
  // The hypervisor says why one cannot be read.
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
