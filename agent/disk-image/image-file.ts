import { constants } from "node:fs";
import { type FileHandle, open, rename, rm, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder } from "#shared/data-folder/sync-folder.ts";
import { DiskFullError } from "#shared/errors.ts";

const FULL_CODES = ["ENOSPC", "EDQUOT", "EFBIG"];

/**
 * A file that gets its name only when it is complete and durable. Until then it is `PATH.partial`, which a
 * later attempt overwrites.
 */
export class ImageFile {
  readonly handle: FileHandle;
  /** The same file past the page cache, or `handle` if the file system does not support that. */
  readonly direct: FileHandle;
  readonly #path: string;
  #open = true;

  private constructor(path: string, handle: FileHandle, direct: FileHandle) {
    this.#path = path;
    this.handle = handle;
    this.direct = direct;
  }

  /** Throws `DiskFullError` at once if fewer than `neededBytes` are free. */
  static async create(path: string, neededBytes: number): Promise<ImageFile> {
    const partial = `${path}.partial`;
    // The space of an earlier attempt's leftover counts as free.
    await rm(partial, { force: true });
    const freeBytes = await freeBytesAt(path);
    if (freeBytes < neededBytes) throw new DiskFullError(path, neededBytes, freeBytes);
    // A disk contains its owner's secrets.
    const handle = await open(partial, "wx+", 0o600);
    return new ImageFile(path, handle, await openDirect(handle));
  }

  /** Throws `DiskFullError` when the storage runs out of space. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    try {
      await writeFully(this.handle, bytes, offset);
    } catch (error) {
      throw await this.translate(error, bytes.length);
    }
  }

  async truncate(sizeBytes: number): Promise<void> {
    try {
      await this.handle.truncate(sizeBytes);
    } catch (error) {
      throw await this.translate(error, sizeBytes);
    }
  }

  /** Makes the content durable, then the name. */
  async publish(): Promise<void> {
    try {
      // If the file system allocates late, a full disk can show only here.
      await this.handle.sync();
    } catch (error) {
      throw await this.translate(error, 1);
    }
    await this.#close();
    await rename(`${this.#path}.partial`, this.#path);
    await syncFolder(dirname(this.#path));
  }

  /** Removes what was written so far. Does nothing after `publish`. */
  async discard(): Promise<void> {
    if (!this.#open) return;
    await this.#close();
    await rm(`${this.#path}.partial`, { force: true });
  }

  async #close(): Promise<void> {
    this.#open = false;
    if (this.direct !== this.handle) await this.direct.close();
    await this.handle.close();
  }

  /** See `writeFailure`. */
  translate(error: unknown, neededBytes: number): Promise<unknown> {
    return writeFailure(this.#path, error, neededBytes);
  }
}

/** The error to report for a failed write of these bytes: a `DiskFullError` if the storage is full. */
export async function writeFailure(path: string, error: unknown, neededBytes: number): Promise<unknown> {
  if (!FULL_CODES.includes((error as NodeJS.ErrnoException).code ?? "")) return error;
  const freeBytes = await freeBytesAt(path);
  return new DiskFullError(path, Math.max(neededBytes, freeBytes + 1), freeBytes, { cause: error });
}

export async function writeFully(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

/**
 * Writing past the page cache saves three quarters of the CPU time, and leaves the host's cache to its
 * guests.
 */
export async function openDirect(handle: FileHandle): Promise<FileHandle> {
  try {
    // Not by its name, which may lead to another file by now.
    return await open(`/proc/self/fd/${handle.fd}`, constants.O_WRONLY | constants.O_DIRECT);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EINVAL") return handle;
    await handle.close();
    throw error;
  }
}

/** Writing images leaves this part of a file system free: a host with a full disk stops working. */
const SPARE_PART = 0.01;

/** Throws `DiskFullError` unless this much can be written to a folder and some room is left. */
export async function requireRoom(folder: string, neededBytes: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(folder);
  const spareBytes = Math.ceil(blocks * SPARE_PART) * bsize;
  const freeBytes = Math.max(0, bavail * bsize - spareBytes);
  if (neededBytes > freeBytes) throw new DiskFullError(folder, neededBytes, freeBytes);
}

/** How much an unprivileged process can still write to the file system that holds the path's folder. */
export async function freeBytesAt(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(path));
  return bavail * bsize;
}
