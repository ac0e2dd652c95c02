/** Where the page has a copy of the disk's own IDENTIFY data: Linux, drivers/ata/libata-scsi.c. */
const IDENTIFY_OFFSET = 60;
const IDENTIFY_BYTES = 512;
/** Words and bits of IDENTIFY data: Linux, include/linux/ata.h. */
const HAS_TRIM = { word: 169, bit: 0 };
const READS_ALIKE = { word: 69, bit: 14 };

/**
 * Whether a block that was discarded may read as something else each time until it is written. `page` is the
 * vital product data page 89h of a SCSI disk, which only disks that are ATA inside have; of other disks, the
 * standards want discarded blocks to read the same.
 */
export function mayReadDiscardedDifferently(page: Uint8Array | undefined): boolean {
  if (!page || page.length < IDENTIFY_OFFSET + IDENTIFY_BYTES) return false;
  const identify = Buffer.from(page.buffer, page.byteOffset + IDENTIFY_OFFSET, IDENTIFY_BYTES);
  const has = ({ word, bit }: { word: number; bit: number }) =>
    ((identify.readUInt16LE(2 * word) >> bit) & 1) === 1;
  return has(HAS_TRIM) && !has(READS_ALIKE);
}
