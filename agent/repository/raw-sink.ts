import { write } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { DiskSink } from "./restore.ts";

/** There is no room left where the disk is being written. */
export class TargetFullError extends Error {
  override readonly name = "TargetFullError";
  readonly retryable = false;
  readonly hint = "Free space on the target host, or choose another image folder, and start again.";
}

/** A raw image: a new sparse file, or a block device of at least the disk's size, every byte of which is written. */
export class RawSink implements DiskSink {
  readonly #file: FileHandle;
  readonly #startsAsZeros: boolean;

  private constructor(file: FileHandle, startsAsZeros: boolean) {
    this.#file = file;
    this.#startsAsZeros = startsAsZeros;
  }

  /** Creates the file anew, `sizeBytes` long, or opens the device. */
  static async open(path: string, sizeBytes: number): Promise<RawSink> {
    const file = await open(path, "a").then(async (probe) => {
      const device = (await probe.stat()).isBlockDevice();
      await probe.close();
      return { handle: await open(path, device ? "r+" : "w+"), device };
    });
    if (!file.device) await file.handle.truncate(sizeBytes);
    return new RawSink(file.handle, !file.device);
  }

  write(offset: number, bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      write(this.#file.fd, bytes, 0, bytes.length, offset, (error, written) => {
        if (error)
          reject(error.code === "ENOSPC" ? new TargetFullError(error.message, { cause: error }) : error);
        else if (written < bytes.length) resolve(this.write(offset + written, bytes.subarray(written)));
        else resolve();
      });
    });
  }

  async zero(offset: number, bytes: number): Promise<void> {
    if (this.#startsAsZeros) return;
    for (let done = 0; done < bytes; done += ZEROS.length) {
      await this.write(offset + done, ZEROS.subarray(0, Math.min(ZEROS.length, bytes - done)));
    }
  }

  /** Makes all that was written durable, and closes. */
  async close(): Promise<void> {
    try {
      await this.#file.datasync();
    } finally {
      await this.#file.close();
    }
  }
}

const ZEROS = Buffer.alloc(1024 * 1024);
