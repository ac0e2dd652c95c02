import type { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { DiskSource } from "../../disk/disk-source.ts";
import { allocatePages, PAGE_BYTES } from "../../threads/page-memory.ts";
import type { Frame } from "../../tracking/tracker.ts";

/** With what a frozen read returns, the agent stays within its memory. */
const MOST_BYTES = 8 * 2 ** 20;

/**
 * Small passes over one disk that wait in memory for the frozen read, so that they are stored with it, and a
 * block that changes again is stored once.
 */
export class PassMemory {
  readonly #disk: string;
  #frames: Frame[] = [];
  #bytes = 0;

  constructor(disk: string) {
    this.#disk = disk;
  }

  /** Whether these blocks would fit. */
  hasRoomFor(blocks: BlockSet): boolean {
    return this.#bytes + blocks.bytes <= MOST_BYTES;
  }

  /** Reads these blocks. Returns false, and keeps none of them, if they do not fit or cannot be read. */
  async read(source: DiskSource, blocks: BlockSet): Promise<boolean> {
    if (!this.hasRoomFor(blocks)) return false;
    const page = Buffer.from(allocatePages(BLOCK_BYTES / PAGE_BYTES), 0, BLOCK_BYTES);
    const frames: Frame[] = [];
    for (const { offset, length } of blocks.within(0, blocks.sizeBytes)) {
      for (let at = offset; at < offset + length; at += BLOCK_BYTES) {
        const bytes = Math.min(BLOCK_BYTES, offset + length - at);
        // What cannot be read is for the capture, which tries harder and records what is bad.
        const bytesRead = await source.read(at, page).catch(() => 0);
        if (bytesRead < bytes) return false;
        frames.push({ disk: this.#disk, offset: at, bytes: Buffer.from(page.subarray(0, bytes)) });
      }
    }
    this.#frames.push(...frames);
    this.#bytes += blocks.bytes;
    return true;
  }

  /** Everything that was read, in order; the memory is empty after that. */
  take(): Frame[] {
    const frames = this.#frames;
    this.#frames = [];
    this.#bytes = 0;
    return frames;
  }
}
