import { type FileHandle, open, readFile } from "node:fs/promises";
import { deviceSectorBytes } from "./disk-source.ts";

/** Random access to a disk's bytes, from any source. */
export interface DiskReader {
  readonly sizeBytes: number;
  /**
   * Exactly `length` bytes; throws `RangeError` beyond the end of the disk. The caller owns the result. It is
   * `into`, shortened to that length, if given and if the reader can fill it.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
}

export interface CloseableDiskReader extends DiskReader {
  /** The device's logical sector size, the unit of its partition table. Absent for a file. */
  readonly sectorBytes?: number;
  close(): Promise<void>;
}

/** The bytes of a file or block device. Throws if a device's size cannot be determined. */
export async function openFileReader(path: string): Promise<CloseableDiskReader> {
  const file = await open(path, "r");
  try {
    const stats = await file.stat();
    if (!stats.isBlockDevice()) return new FileReader(file, stats.size);
    const sys = sysOf(stats.rdev);
    return new FileReader(file, await deviceSizeBytes(sys), await deviceSectorBytes(sys));
  } catch (error) {
    await file.close();
    throw error;
  }
}

function sysOf(device: number): string {
  // Linux keeps 12 bits of the major and 20 of the minor number, interleaved.
  const major = (device >>> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  return `/sys/dev/block/${major}:${minor}`;
}

async function deviceSizeBytes(sys: string): Promise<number> {
  // In units of 512 bytes, whatever the device's sector size.
  return Number(await readFile(`${sys}/size`, "utf8")) * 512;
}

class FileReader implements CloseableDiskReader {
  readonly sizeBytes: number;
  readonly sectorBytes?: number;
  readonly #file: FileHandle;

  constructor(file: FileHandle, sizeBytes: number, sectorBytes?: number) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
    if (sectorBytes !== undefined) this.sectorBytes = sectorBytes;
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    requireWithin(this, offset, length);
    const bytes = into ?? Buffer.allocUnsafe(length);
    await readFully(this.#file, bytes, offset);
    return bytes;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Fills `bytes` from the file; throws `RangeError` if the file ends first. */
export async function readFully(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) throw new RangeError(`the file ends at byte ${offset + done}`);
    done += bytesRead;
  }
}

/** A window on another reader: a partition, or a contiguous logical volume. */
export function sliceReader(reader: DiskReader, offsetBytes: number, sizeBytes: number): DiskReader {
  if (offsetBytes < 0 || sizeBytes < 0 || offsetBytes + sizeBytes > reader.sizeBytes) {
    throw new RangeError(`${offsetBytes}+${sizeBytes} is not within a disk of ${reader.sizeBytes} bytes`);
  }
  const slice = {
    sizeBytes,
    read(offset: number, length: number): Promise<Uint8Array> {
      requireWithin(slice, offset, length);
      return reader.read(offsetBytes + offset, length);
    },
  };
  return slice;
}

export function requireWithin(disk: { sizeBytes: number }, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || offset + length > disk.sizeBytes) {
    throw new RangeError(`${offset}+${length} is not within a disk of ${disk.sizeBytes} bytes`);
  }
}
