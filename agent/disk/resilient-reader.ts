import { CausewayError } from "#shared/errors.ts";
import type { BadRange } from "#shared/format/map-node.ts";
import type { DiskSource } from "./disk-source.ts";

/** The disk has become smaller since the capture started. */
export class DiskShrankError extends CausewayError {
  override readonly name = "DiskShrankError";
  readonly retryable = false;
  readonly hint = "The disk was resized during the capture. Start the capture again.";
  readonly expectedBytes: number;
  readonly foundBytes: number;
  constructor(expectedBytes: number, foundBytes: number) {
    super(`the disk had ${expectedBytes} bytes and now has ${foundBytes}`);
    this.expectedBytes = expectedBytes;
    this.foundBytes = foundBytes;
  }
}

/** More of the disk cannot be read than the capture may skip. */
export class TooManyReadErrorsError extends CausewayError {
  override readonly name = "TooManyReadErrorsError";
  readonly retryable = false;
  readonly hint = "The disk is failing. Raise the limit of bad bytes to save what can still be read.";
  readonly badBytes: number;
  constructor(badBytes: number, options?: ErrorOptions) {
    super(`${badBytes} bytes of the disk cannot be read`, options);
    this.badBytes = badBytes;
  }
}

const ATTEMPTS = 3;

/**
 * Reads ranges of a disk in full. What cannot be read, after retries and narrowed down to single sectors, is
 * zeroed in the buffer and reported as bad, so that it never passes for zeros of the disk.
 */
export class ResilientDiskReader {
  readonly #disk: DiskSource;
  readonly #maxBadBytes: number;
  #badBytes = 0;
  #bytesRead = 0;

  constructor(disk: DiskSource, options: { maxBadBytes: number }) {
    this.#disk = disk;
    this.#maxBadBytes = options.maxBadBytes;
  }

  /** Bytes that reads have returned so far, retries included. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /**
   * Fills the first `bytes` of `into`, whose length is a multiple of the sector size; returns the bad ranges,
   * relative to `offset`.
   */
  async read(offset: number, bytes: number, into: Buffer): Promise<BadRange[]> {
    try {
      await this.#fill(offset, bytes, into);
      return [];
    } catch (error) {
      if (!isReadError(error)) throw error;
    }
    const bad: BadRange[] = [];
    await this.#narrow(offset, bytes, into, (range) => {
      const last = bad.at(-1);
      if (last && last.offset + last.bytes === range.offset - offset) last.bytes += range.bytes;
      else bad.push({ offset: range.offset - offset, bytes: range.bytes });
    });
    return bad;
  }

  /** Throws if the disk is smaller than when the capture started. */
  async checkSize(): Promise<void> {
    const found = await this.#disk.currentSizeBytes();
    if (found < this.#disk.sizeBytes) throw new DiskShrankError(this.#disk.sizeBytes, found);
  }

  async #fill(offset: number, bytes: number, into: Buffer): Promise<void> {
    let done = 0;
    while (done < bytes) {
      const count = await this.#disk.read(offset + done, done === 0 ? into : into.subarray(done));
      if (count === 0) throw new DiskShrankError(this.#disk.sizeBytes, offset + done);
      this.#bytesRead += count;
      done += count;
    }
  }

  async #narrow(
    offset: number,
    bytes: number,
    into: Buffer,
    onBad: (range: BadRange) => void,
  ): Promise<void> {
    const sector = this.#disk.sectorBytes;
    const smallest = into.length <= sector;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#fill(offset, bytes, into);
      } catch (error) {
        if (!isReadError(error)) throw error;
        // Only single sectors are read a second time; a larger range is read again in parts.
        if (!smallest) break;
        if (attempt < ATTEMPTS) continue;
        into.fill(0);
        this.#badBytes += bytes;
        if (this.#badBytes > this.#maxBadBytes)
          throw new TooManyReadErrorsError(this.#badBytes, { cause: error });
        return onBad({ offset, bytes });
      }
    }
    const half = Math.max(sector, Math.floor(into.length / 2 / sector) * sector);
    await this.#narrow(offset, Math.min(half, bytes), into.subarray(0, half), onBad);
    if (bytes > half) await this.#narrow(offset + half, bytes - half, into.subarray(half), onBad);
  }
}

function isReadError(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "EIO" || code === "EREMOTEIO" || code === "ENODATA" || code === "EILSEQ";
}
