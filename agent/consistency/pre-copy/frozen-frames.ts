import { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { DiskSource } from "../../disk/disk-source.ts";
import type { Frame } from "../../tracking/tracker.ts";

const SECTOR_BYTES = 512;

/** Parts of a disk that are in memory, such as those that were read while its file systems were frozen. */
export class FrozenFrames implements DiskSource {
  readonly sizeBytes: number;
  readonly sectorBytes: number = SECTOR_BYTES;
  /** The blocks that are here. */
  readonly blocks: BlockSet;
  /** By number of the block. */
  readonly #content = new Map<number, Buffer>();

  /** `frames`: of this disk alone, in the order in which they were read; the later of two counts. */
  constructor(sizeBytes: number, frames: readonly Frame[]) {
    this.sizeBytes = sizeBytes;
    this.blocks = new BlockSet(sizeBytes, BLOCK_BYTES);
    for (const { offset, bytes } of frames) {
      if (offset % BLOCK_BYTES !== 0) throw new RangeError(`a frame starts inside a block, at ${offset}`);
      this.blocks.add(offset, bytes.length);
      for (let at = 0; at < bytes.length; at += BLOCK_BYTES)
        this.#content.set((offset + at) / BLOCK_BYTES, bytes.subarray(at, at + BLOCK_BYTES));
    }
  }

  async read(offset: number, into: Buffer): Promise<number> {
    const length = Math.min(into.length, this.sizeBytes - offset);
    let done = 0;
    while (done < length) {
      const at = offset + done;
      const block = Math.floor(at / BLOCK_BYTES);
      const content = this.#content.get(block);
      if (!content) throw new RangeError(`block ${block} is not in memory`);
      const copied = content.copy(
        into,
        done,
        at - block * BLOCK_BYTES,
        at - block * BLOCK_BYTES + length - done,
      );
      if (copied === 0) throw new RangeError(`block ${block} ends before ${at}`);
      done += copied;
    }
    return Math.max(0, done);
  }

  async currentSizeBytes(): Promise<number> {
    return this.sizeBytes;
  }

  async close(): Promise<void> {}
}
