import type { MarkUsed } from "./mark-used.ts";

/**
 * Marks each run of set bits (least significant first) of an allocation bitmap. Bit 0 stands for `unitBytes`
 * bytes at `offset`; only the first `bits` bits count. Returns how many of them are set.
 */
export function markSetBits(
  mark: MarkUsed,
  bitmap: Uint8Array,
  { bits, offset, unitBytes }: { bits: number; offset: number; unitBytes: number },
): number {
  let count = 0;
  let runStart = 0;
  const endRun = (bit: number) => {
    if (bit > runStart) mark(offset + runStart * unitBytes, (bit - runStart) * unitBytes);
    count += bit - runStart;
  };
  for (let bit = 0; bit < bits; ) {
    const byte = bitmap[bit >> 3] ?? 0;
    const wholeByte = (bit & 7) === 0 && bit + 8 <= bits;
    const step = wholeByte && (byte === 0 || byte === 0xff) ? 8 : 1;
    if (((byte >> (bit & 7)) & 1) === 0) {
      endRun(bit);
      runStart = bit + step;
    }
    bit += step;
  }
  endRun(bits);
  return count;
}
