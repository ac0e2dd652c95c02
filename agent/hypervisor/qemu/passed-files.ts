import { constants } from "node:fs";
import { copyFile, type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { HypervisorFailedError } from "#shared/errors.ts";
import { createDiskImage, type ImageFormat, openDiskImage } from "../../disk-image/disk-image.ts";

const { O_RDONLY, O_RDWR, O_WRONLY, O_CREAT, O_EXCL } = constants;
const SECTOR_BYTES = 512;

/**
 * Files that QEMU gets as open descriptors, so that it needs no right to any folder. Files created for it
 * have no name any more and disappear with QEMU, however it ends.
 */
export class PassedFiles {
  readonly #folder: string;
  readonly #firstFd: number;
  readonly #handles: FileHandle[] = [];
  /** QEMU's set for each handle: one file, open in one or two ways. */
  readonly #sets: number[] = [];
  readonly #overlays: FileHandle[] = [];
  /** Ours, not passed to QEMU. */
  readonly #outputs: FileHandle[] = [];

  /**
   * `folder`: where files are created. `firstFd`: the descriptor of the first file in QEMU; the others follow
   * it.
   */
  constructor(folder: string, firstFd: number) {
    this.#folder = folder;
    this.#firstFd = firstFd;
  }

  /** For `spawn`, from `firstFd` on. */
  get fds(): number[] {
    return this.#handles.map(({ fd }) => fd);
  }

  get args(): string[] {
    return this.#sets.flatMap((set, index) => ["-add-fd", `fd=${this.#firstFd + index},set=${set}`]);
  }

  /** The name by which QEMU reads an existing file. Throws `HypervisorFailedError` if it cannot be opened. */
  async read(path: string): Promise<string> {
    return this.#pass(await opened(path, O_RDONLY));
  }

  /** The name by which QEMU reads and writes an existing file. Throws `HypervisorFailedError`. */
  async write(path: string): Promise<string> {
    return this.#pass(await opened(path, O_RDONLY), await opened(path, O_RDWR));
  }

  /** The name of a copy that QEMU may write. */
  async copy(path: string): Promise<string> {
    const copied = this.#newPath();
    await copyFile(path, copied);
    return this.#passWritable(copied);
  }

  /** The name of an empty file that QEMU may only write, and the file for reading it. */
  async output(): Promise<{ name: string; file: FileHandle }> {
    const path = this.#newPath();
    const written = await opened(path, O_WRONLY | O_CREAT | O_EXCL);
    const file = await this.#unnamed(path, O_RDONLY);
    this.#outputs.push(file);
    return { name: this.#pass(written), file };
  }

  /** The name of an empty qcow2 image with the size of the disk below it. */
  async overlay(disk: { path: string; format: ImageFormat }): Promise<string> {
    const path = this.#newPath();
    const sizeBytes = await guestSizeBytes(disk);
    const image = await createDiskImage({ path, format: "qcow2", sizeBytes, contentBytes: 0 });
    await image.finish();
    return this.#passWritable(path, this.#overlays);
  }

  /** The length of the longest overlay. */
  async longestOverlayBytes(): Promise<number> {
    return Math.max(0, ...(await Promise.all(this.#overlays.map(async (file) => (await file.stat()).size))));
  }

  async close(): Promise<void> {
    for (const handle of [...this.#handles.splice(0), ...this.#outputs.splice(0)]) await handle.close();
  }

  #pass(...handles: FileHandle[]): string {
    const set = this.#handles.length + 1;
    for (const handle of handles) {
      this.#handles.push(handle);
      this.#sets.push(set);
    }
    return `/dev/fdset/${set}`;
  }

  /** QEMU opens some files for reading before it opens them for writing. */
  async #passWritable(path: string, alsoTo: FileHandle[] = []): Promise<string> {
    const readable = await opened(path, O_RDONLY);
    const writable = await this.#unnamed(path, O_RDWR);
    alsoTo.push(writable);
    return this.#pass(readable, writable);
  }

  #newPath(): string {
    return join(this.#folder, `file-${this.#handles.length}`);
  }

  async #unnamed(path: string, flags: number): Promise<FileHandle> {
    const handle = await opened(path, flags);
    await rm(path);
    return handle;
  }
}

async function opened(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, flags, 0o600);
  } catch (error) {
    throw new HypervisorFailedError(`${path} cannot be opened: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The size of an image's disk as a guest sees it: whole sectors. */
export async function guestSizeBytes({
  path,
  format,
}: {
  path: string;
  format: ImageFormat;
}): Promise<number> {
  const reader = await openDiskImage(path, format);
  try {
    return Math.max(1, Math.ceil(reader.sizeBytes / SECTOR_BYTES)) * SECTOR_BYTES;
  } finally {
    await reader.close();
  }
}
