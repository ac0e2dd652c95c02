import { type CloseableDiskReader, openFileReader, requireWithin } from "../disk/reader.ts";
import type { DiskImageSink, RawFile } from "./disk-image-sink.ts";
import { ImageFile } from "./image-file.ts";
import { Qcow2Reader } from "./qcow2-reader.ts";
import { Qcow2Sink } from "./qcow2-writer.ts";

export type ImageFormat = "raw" | "qcow2";

export interface DiskImageOptions {
  /** Replaced by `finish` if it exists; `PATH.partial` until then. */
  path: string;
  format: ImageFormat;
  /** The disk's size as the guest sees it. */
  sizeBytes: number;
  /** How much will be written, to check that the storage has room. */
  contentBytes: number;
}

/**
 * Begins a new disk image; both formats take space only for what is written. Throws `DiskFullError` if there
 * is no room.
 */
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

/**
 * Reads a disk image as the guest would. Throws `ImageUnreadableError` for a qcow2 that is damaged or uses a
 * feature that we do not write.
 */
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
