import type { DiskSource } from "../../disk/disk-source.ts";

/** A part of a disk whose bytes are read elsewhere: from another device, or from memory. */
export interface Piece {
  /** On the disk. */
  offset: number;
  length: number;
  from: { source: DiskSource; offset: number } | Buffer;
}

/**
 * A disk of which some parts are read elsewhere; the rest is the disk's own. Pieces are in order, do not
 * overlap, and begin and end at sectors. Closing it closes nothing: the sources belong to the caller.
 */
export class ComposedDisk implements DiskSource {
  readonly sizeBytes: number;
  readonly sectorBytes: number;
  readonly #disk: DiskSource;
  readonly #pieces: readonly Piece[];
  readonly #onFailedRead: () => Promise<void>;

  /** `onFailedRead` is called before a failure to read a piece is thrown, and may throw the cause instead. */
  constructor(disk: DiskSource, pieces: readonly Piece[], onFailedRead: () => Promise<void>) {
    this.#disk = disk;
    this.#pieces = pieces;
    this.#onFailedRead = onFailedRead;
    this.sizeBytes = disk.sizeBytes;
    const sources = pieces.flatMap(({ from }) => (Buffer.isBuffer(from) ? [] : [from.source.sectorBytes]));
    this.sectorBytes = Math.max(disk.sectorBytes, ...sources);
  }

  async read(offset: number, into: Buffer): Promise<number> {
    const wanted = Math.min(into.length, this.sizeBytes - offset);
    let done = 0;
    while (done < wanted) {
      const count = await this.#readPart(offset + done, into.subarray(done, wanted));
      if (count === 0) break;
      done += count;
    }
    return Math.max(done, 0);
  }

  currentSizeBytes(): Promise<number> {
    return this.#disk.currentSizeBytes();
  }

  async close(): Promise<void> {}

  /** Reads up to the end of the piece, or of the disk's own part, that begins here. */
  async #readPart(at: number, into: Buffer): Promise<number> {
    const next = this.#pieceEndingAfter(at);
    if (!next || next.offset > at) return this.#disk.read(at, into.subarray(0, next && next.offset - at));
    const skip = at - next.offset;
    const part = into.subarray(0, next.length - skip);
    if (Buffer.isBuffer(next.from)) return next.from.copy(part, 0, skip);
    try {
      return await next.from.source.read(next.from.offset + skip, part);
    } catch (error) {
      await this.#onFailedRead();
      throw error;
    }
  }

  #pieceEndingAfter(at: number): Piece | undefined {
    let [low, high] = [0, this.#pieces.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const piece = this.#pieces[middle];
      if (piece && piece.offset + piece.length > at) high = middle;
      else low = middle + 1;
    }
    return this.#pieces[low];
  }
}
