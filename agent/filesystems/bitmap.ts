import { appendExtent, type Extent } from "#shared/domain/extents.ts";

/**
 * Appends an extent for each run of set bits (least significant first) of an allocation bitmap. Bit 0 stands for `unitBytes` bytes at
 * `offset`; only the first `bits` bits count. Returns how many of them are set.
 */
export function appendSetBits(
  set: Extent[],
  bitmap: Uint8Array,
  { bits, offset, unitBytes }: { bits: number; offset: number; unitBytes: number },
): number {
  let count = 0;
  for (let bit = 0; bit < bits; ) {
    const byte = bitmap[bit >> 3] ?? 0;
    const wholeByte = (bit & 7) === 0 && bit + 8 <= bits;
    if (wholeByte && byte === 0) {
      bit += 8;
    } else if (wholeByte && byte === 0xff) {
      appendExtent(set, offset + bit * unitBytes, 8 * unitBytes);
      count += 8;
      bit += 8;
    } else {
      if ((byte >> (bit & 7)) & 1) {
        appendExtent(set, offset + bit * unitBytes, unitBytes);
        count++;
      }
      bit++;
    }
  }
  return count;
}
