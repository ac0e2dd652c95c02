import { openDiskImage } from "./disk-image.ts";
import type { MachineDisk } from "./qemu-machine.ts";

const SECTOR_BYTES = 512;
const SIGNATURE = 0xaa55;
const SIGNATURE_OFFSET = 510;
/** From here on: disk signature and partition table. */
const CODE_END = 440;

/**
 * The disks with those first that a BIOS can start: it tries only the first one. Their own order says nothing, for a kernel names disks as it finds
 * them, and may find them in another order at each start.
 */
export async function startableFirst(disks: readonly MachineDisk[]): Promise<MachineDisk[]> {
  // Of one that cannot be read, QEMU says why.
  const startable = await Promise.all(disks.map((disk) => hasBootCode(disk).catch(() => false)));
  return [...disks.filter((_, index) => startable[index]), ...disks.filter((_, index) => !startable[index])];
}

async function hasBootCode({ path, format }: MachineDisk): Promise<boolean> {
  const reader = await openDiskImage(path, format);
  try {
    if (reader.sizeBytes < SECTOR_BYTES) return false;
    const sector = Buffer.from(await reader.read(0, SECTOR_BYTES));
    const code = sector.subarray(0, CODE_END);
    // A table of partitions has the signature too.
    return sector.readUInt16LE(SIGNATURE_OFFSET) === SIGNATURE && code.some((byte) => byte !== 0);
  } finally {
    await reader.close();
  }
}
