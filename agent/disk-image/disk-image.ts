import { type CloseableDiskReader, openFileReader, requireWithin } from "../disk/reader.ts";
import { ImageFile } from "./image-file.ts";
import { Qcow2Reader } from "./qcow2-reader.ts";
import { Qcow2Sink } from "./qcow2-writer.ts";

export type ImageFormat = "raw" | "qcow2";

/** A disk being written. What is never written reads back as zeros. */
export interface DiskImageSink {
  readonly sizeBytes: number;
  /** Where the image is the disk's bytes as they are: other threads may write to it themselves. */
  readonly file?: RawFile;
  /**
   * Any order, several at a time, any alignment; no byte twice at the same time. Throws `DiskFullError`, after which only `abort`
   * makes sense. `bytes` may be reused once this has settled.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes the disk durable and gives it its name. Every `write` must have settled. */
  finish(): Promise<void>;
  /** Removes what was written. May be called at any time, again, and after `finish`, when it does nothing. */
  abort(): Promise<void>;
}

/** A file to which a disk's bytes may be written at their own offsets, until the image is finished or aborted. */
export interface RawFile {
  readonly fd: number;
  /** Bypasses the page cache: wants memory, offsets and lengths that are multiples of 4 KiB. */
  readonly directFd: number;
  /** What a failed write of so many bytes is to be reported as, such as `DiskFullError`. */
  translate(error: unknown, bytes: number): Promise<unknown>;
}

export interface DiskImageOptions {
  /** Replaced by `finish` if it exists; `PATH.partial` until then. */
  path: string;
  format: ImageFormat;
  /** What the guest sees. */
  sizeBytes: number;
  /** How much of it will be written, for the check that the storage has room. */
  contentBytes: number;
}

/** Begins a new disk image; both formats take space only for what is written. Throws `DiskFullError` if there is no room. */
export async function createDiskImage(options: DiskImageOptions): Promise<DiskImageSink> {
  const { path, format, sizeBytes, contentBytes } = options;
  if (format === "qcow2") return Qcow2Sink.create(path, sizeBytes, contentBytes);
  const file = await ImageFile.create(path, contentBytes);
  try {
    await file.truncate(sizeBytes);
  } catch (error) {
    await file.discard();
    throw error;
  }
  return new RawSink(file, sizeBytes);
}

/** Reads a disk image as the guest would. Throws `ImageUnreadableError` for a qcow2 that is damaged or uses what we do not write. */
export async function openDiskImage(path: string, format: ImageFormat): Promise<CloseableDiskReader> {
  return format === "qcow2" ? Qcow2Reader.open(path) : openFileReader(path);
}

class RawSink implements DiskImageSink {
  readonly sizeBytes: number;
  readonly file: RawFile;
  readonly #file: ImageFile;

  constructor(file: ImageFile, sizeBytes: number) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.file = {
      fd: file.handle.fd,
      directFd: file.direct.fd,
      translate: (error, bytes) => file.translate(error, bytes),
    };
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    requireWithin(this, offset, bytes.length);
    await this.#file.write(offset, bytes);
  }

  finish(): Promise<void> {
    return this.#file.publish();
  }

  abort(): Promise<void> {
    return this.#file.discard();
  }
}
