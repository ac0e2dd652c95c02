import { writeSync } from "node:fs";
import { CausewayError } from "#shared/errors/causeway-error.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";

/** Consecutive blocks that follow one another in an output slot. */
export interface OutputRun {
  firstBlock: number;
  at: number;
  blocks: number;
}

export interface FileDescriptors {
  fd: number;
  /** Bypasses the page cache; can be `fd`. */
  directFd: number;
}

/** A write to the storage failed. */
export class RunNotWrittenError extends CausewayError {
  override readonly name = "RunNotWrittenError";
  readonly retryable = true;
  readonly hint = "Check the storage that the image is written to.";
  /** The system's error code, such as `ENOSPC`. */
  readonly code: string;
  readonly bytes: number;
  constructor(cause: NodeJS.ErrnoException, bytes: number) {
    super(cause.message, { cause });
    this.code = cause.code ?? "";
    this.bytes = bytes;
  }
}

const DIRECT_BYTES = 4096;

/** Writes runs to a raw image, from the thread that has them. */
export class RunWriter {
  readonly #fd: number;
  readonly #sizeBytes: number;
  #directFd: number;

  constructor({ fd, directFd }: FileDescriptors, sizeBytes: number) {
    this.#fd = fd;
    this.#directFd = directFd;
    this.#sizeBytes = sizeBytes;
  }

  /** Returns the bytes written: the last block of a disk may be shorter. Throws `RunNotWrittenError`. */
  write({ firstBlock, at, blocks }: OutputRun, output: Buffer): number {
    const offset = firstBlock * BLOCK_BYTES;
    const bytes = Math.min(blocks * BLOCK_BYTES, this.#sizeBytes - offset);
    for (let done = 0; done < bytes; ) done += this.#some(output, at + done, bytes - done, offset + done);
    return bytes;
  }

  #some(output: Buffer, at: number, bytes: number, offset: number): number {
    const whole = offset % DIRECT_BYTES === 0 ? bytes - (bytes % DIRECT_BYTES) : 0;
    try {
      return whole > 0
        ? writeSync(this.#directFd, output, at, whole, offset)
        : writeSync(this.#fd, output, at, bytes, offset);
    } catch (error) {
      const failure = error as NodeJS.ErrnoException;
      if (failure.code !== "EINVAL" || this.#directFd === this.#fd)
        throw new RunNotWrittenError(failure, bytes);
      // Some file systems open a file for direct access and then refuse it, or require a stricter alignment.
      this.#directFd = this.#fd;
      return 0;
    }
  }
}
