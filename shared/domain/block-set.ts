import { appendExtent, type Extent } from "./extents.ts";

/**
 * A set of a disk's blocks, one bit for each. Its memory depends on the size of the disk (30 MiB for 15 TiB
 * in blocks of 64 KiB), not on how fragmented the set is. Byte ranges are rounded outward to whole blocks, so
 * the set always includes every byte that was added.
 */
export class BlockSet {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** Least significant bit first. Bits after the last block stay clear. */
  readonly #bits: Uint8Array;

  /** An empty set for a disk of `sizeBytes`, whose last block may be shorter. */
  constructor(sizeBytes: number, blockBytes: number) {
    this.sizeBytes = sizeBytes;
    this.blockBytes = blockBytes;
    this.#bits = new Uint8Array(Math.ceil(Math.ceil(sizeBytes / blockBytes) / 8));
  }

  /** All blocks of a disk. */
  static all(sizeBytes: number, blockBytes: number): BlockSet {
    const set = new BlockSet(sizeBytes, blockBytes);
    set.add(0, sizeBytes);
    return set;
  }

  /** The blocks in both sets, which are of one disk. Throws a `RangeError` if they are not. */
  static common(a: BlockSet, b: BlockSet): BlockSet {
    if (a.sizeBytes !== b.sizeBytes || a.blockBytes !== b.blockBytes)
      throw new RangeError("these are blocks of different sizes, or of disks of different sizes");
    const common = new BlockSet(a.sizeBytes, a.blockBytes);
    for (let byte = 0; byte < common.#bits.length; byte++)
      common.#bits[byte] = (a.#bits[byte] ?? 0) & (b.#bits[byte] ?? 0);
    return common;
  }

  /**
   * Adds every block that contains any of these bytes. Throws a `RangeError` if they reach beyond the disk.
   */
  add(offset: number, length: number): void {
    if (length === 0) return;
    if (!(offset >= 0 && length >= 0 && offset + length <= this.sizeBytes)) {
      throw new RangeError(
        `bytes ${offset} to ${offset + length} reach beyond a disk of ${this.sizeBytes} bytes`,
      );
    }
    const first = Math.floor(offset / this.blockBytes);
    const last = Math.floor((offset + length - 1) / this.blockBytes);
    const firstByte = Math.floor(first / 8);
    const lastByte = Math.floor(last / 8);
    const fromFirst = (0xff << (first % 8)) & 0xff;
    const toLast = 0xff >> (7 - (last % 8));
    if (firstByte === lastByte) {
      this.#set(firstByte, fromFirst & toLast);
    } else {
      this.#set(firstByte, fromFirst);
      this.#bits.fill(0xff, firstByte + 1, lastByte);
      this.#set(lastByte, toLast);
    }
  }

  /** How many bytes of the disk are in blocks of the set. */
  get bytes(): number {
    return this.bytesWithin(0, this.sizeBytes);
  }

  /** How many bytes of this range of the disk are in blocks of the set. */
  bytesWithin(offset: number, length: number): number {
    const { blockBytes } = this;
    const end = Math.min(offset + length, this.sizeBytes);
    if (offset >= end) return 0;
    const first = Math.floor(offset / blockBytes);
    const after = Math.ceil(end / blockBytes);
    const outside =
      (this.#has(first) ? offset - first * blockBytes : 0) +
      (this.#has(after - 1) ? after * blockBytes - end : 0);
    return this.#count(first, after) * blockBytes - outside;
  }

  /** The parts of this range that are in blocks of the set, in order; none touches the next. */
  within(offset: number, length: number): Extent[] {
    const { blockBytes } = this;
    const end = Math.min(offset + length, this.sizeBytes);
    const after = Math.ceil(end / blockBytes);
    const parts: Extent[] = [];
    for (let block = Math.floor(offset / blockBytes); block < after; ) {
      const next = Math.min(block + this.#stride(block), after);
      const start = Math.max(offset, block * blockBytes);
      if (this.#has(block)) appendExtent(parts, start, Math.min(end, next * blockBytes) - start);
      block = next;
    }
    return parts;
  }

  #has(block: number): boolean {
    return (((this.#bits[Math.floor(block / 8)] ?? 0) >> (block % 8)) & 1) === 1;
  }

  #set(byte: number, mask: number): void {
    this.#bits[byte] = (this.#bits[byte] ?? 0) | mask;
  }

  #count(first: number, after: number): number {
    let count = 0;
    for (let block = first; block < after; ) {
      const next = Math.min(block + this.#stride(block), after);
      if (this.#has(block)) count += next - block;
      block = next;
    }
    return count;
  }

  /** How many blocks to look at in one step: eight if their byte is full or empty, otherwise one. */
  #stride(block: number): 1 | 8 {
    const bits = this.#bits[Math.floor(block / 8)];
    return block % 8 === 0 && (bits === 0 || bits === 0xff) ? 8 : 1;
  }
}
