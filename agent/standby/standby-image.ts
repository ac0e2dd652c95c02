import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";
import { promisify } from "node:util";
import { type DiskReader, readFully, requireWithin } from "../disk/reader.ts";
import { openDirect, writeFailure, writeFully } from "../disk-image/image-file.ts";
import type { DiskSink } from "../restore/restore.ts";
import type { FileStamp } from "./standby-record.ts";

const run = promisify(execFile);

/** From this on, a run of zeros becomes a hole: below it, starting a program costs more than writing. */
const HOLE_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(HOLE_BYTES);

/**
 * A raw, sparse image that is changed in place. Every change is durable once `sync` resolves. Writes that do
 * not fit throw `DiskFullError`.
 */
export class StandbyImage implements DiskSink, DiskReader {
  readonly file: NonNullable<DiskSink["file"]>;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #direct: FileHandle;
  #sizeBytes: number;
  #bytesZeroed = 0;
  #bytesRead = 0;
  /** The last call of `zero`, which its caller may have abandoned. */
  #zeroing: Promise<void> = Promise.resolve();

  private constructor(path: string, handle: FileHandle, direct: FileHandle, sizeBytes: number) {
    this.#path = path;
    this.#handle = handle;
    this.#direct = direct;
    this.#sizeBytes = sizeBytes;
    const translate = (error: unknown, bytes: number) => writeFailure(this.#path, error, bytes);
    this.file = { fd: handle.fd, directFd: direct.fd, translate };
  }

  /** Opens the image, which is not a link; with `create`, makes an empty one if there is none. */
  static async open(path: string, { create }: { create: boolean }): Promise<StandbyImage> {
    const flags = constants.O_RDWR | constants.O_NOFOLLOW | (create ? constants.O_CREAT : 0);
    // A disk contains its owner's secrets.
    const handle = await open(path, flags, 0o600);
    try {
      const direct = await openDirect(handle);
      return new StandbyImage(path, handle, direct, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get bytesZeroed(): number {
    return this.#bytesZeroed;
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** What is added reads as zeros. */
  async resize(sizeBytes: number): Promise<void> {
    if (sizeBytes === this.#sizeBytes) return;
    await this.#translated(sizeBytes, () => this.#handle.truncate(sizeBytes));
    this.#sizeBytes = sizeBytes;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    requireWithin(this, offset, bytes.length);
    await this.#translated(bytes.length, () => writeFully(this.#handle, bytes, offset));
  }

  zero(offset: number, bytes: number): Promise<void> {
    const zeroing = this.#zero(offset, bytes);
    this.#zeroing = zeroing.catch(() => undefined);
    return zeroing;
  }

  async #zero(offset: number, bytes: number): Promise<void> {
    requireWithin(this, offset, bytes);
    this.#bytesZeroed += bytes;
    if (bytes >= HOLE_BYTES && (await this.#punch(offset, bytes))) return;
    for (let done = 0; done < bytes; done += ZEROS.length)
      await this.write(offset + done, ZEROS.subarray(0, Math.min(ZEROS.length, bytes - done)));
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    requireWithin(this, offset, length);
    this.#bytesRead += length;
    const bytes = into ?? Buffer.allocUnsafe(length);
    await readFully(this.#handle, bytes, offset);
    return bytes;
  }

  async sync(): Promise<void> {
    // If the file system allocates late, a full disk can show only here.
    await this.#translated(1, () => this.#handle.sync());
  }

  async stamp(): Promise<FileStamp> {
    return stampOf(await this.#handle.stat({ bigint: true }));
  }

  /** Nothing changes the file any more when this resolves, even after a failure. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#zeroing;
    if (this.#direct !== this.#handle) await this.#direct.close();
    await this.#handle.close();
  }

  /** Whether the range is a hole now; Node has no call for it. */
  async #punch(offset: number, bytes: number): Promise<boolean> {
    const range = ["--offset", String(offset), "--length", String(bytes)];
    // Not by its name, which may lead to another file by now.
    const file = `/proc/${process.pid}/fd/${this.#handle.fd}`;
    // If it outlived this process, it could undo what the next one writes.
    const command = ["--pdeathsig", "KILL", "fallocate", "--punch-hole", ...range, file];
    return run("setpriv", command).then(
      () => true,
      () => false,
    );
  }

  async #translated<T>(bytes: number, change: () => Promise<T>): Promise<T> {
    try {
      return await change();
    } catch (error) {
      throw await writeFailure(this.#path, error, bytes);
    }
  }
}

/** What an image's name stands for, without opening it; `undefined` if nothing has it. */
export async function findImage(
  path: string,
): Promise<{ isFile: boolean; stamp: FileStamp; allocatedBytes: number } | undefined> {
  try {
    const status = await lstat(path, { bigint: true });
    return {
      isFile: status.isFile(),
      stamp: stampOf(status),
      allocatedBytes: Number(status.blocks) * 512,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function stampOf(status: { ino: bigint; mtimeNs: bigint; size: bigint }): FileStamp {
  const { ino, mtimeNs, size } = status;
  return { inode: String(ino), modifiedNs: String(mtimeNs), sizeBytes: Number(size) };
}
