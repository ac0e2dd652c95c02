import { constants } from "node:fs";
import { chmod, chown, lstat, mkdir, open, readFile, rename, rmdir, unlink, utimes } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder } from "#shared/data-folder/sync-folder.ts";
import { BootFilesNotFlushedError } from "#shared/errors.ts";
import { FileHashes } from "./file-hashes.ts";
import { LocalMachine, type Machine } from "./machine.ts";

/** What is at a path, without following a link. */
export interface FileStatus {
  kind: "file" | "folder" | "other";
  /** Permission bits, such as `0o644`. */
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  /** The space that the file occupies; less than its size if it is sparse. */
  allocatedBytes: number;
  modifiedNs: bigint;
}

/** The attributes of a file or folder that can be set. */
export type FileAttributes = Pick<FileStatus, "mode" | "uid" | "gid" | "modifiedNs">;

/**
 * A machine whose boot state may be changed. Every method that changes something is one step: durable when it
 * resolves and, if power is lost during it, either done or not done, except where noted. Tests cut the power
 * at each of them.
 */
export interface BootMachine extends Machine {
  isRoot(): boolean;
  /** Returns `undefined` only if the path does not exist; throws if that cannot be determined. */
  status(path: string): Promise<FileStatus | undefined>;
  /** All bytes; `undefined` only if the path does not exist. */
  contents(path: string): Promise<Buffer | undefined>;
  /**
   * SHA-256, lower-case hexadecimal; `undefined` only if the path does not exist. Reads a large file again
   * only if it has changed since the last call (see `FileHashes`).
   */
  hash(path: string): Promise<string | undefined>;

  /**
   * Creates a file, or empties an existing one. Loss of power can leave a part of it, so never use a name
   * that a boot loader reads.
   */
  create(path: string, bytes: Uint8Array, mode: number): Promise<void>;
  /** `create` with the bytes of another file, piece by piece. */
  copy(from: string, to: string, mode: number): Promise<void>;
  /**
   * Overwrites bytes of a file, which keeps its blocks and length. Loss of power can leave a mix of old and
   * new sectors.
   */
  overwrite(path: string, bytes: Uint8Array, offset?: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** No error if it does not exist. */
  unlink(path: string): Promise<void>;
  makeFolder(path: string, mode: number): Promise<void>;
  /** Only if it is empty; resolves with whether it was removed. */
  removeFolder(path: string): Promise<boolean>;
  /**
   * Sets those that differ. The time is exact if GNU `touch` is installed, otherwise within a microsecond.
   */
  setAttributes(path: string, attributes: FileAttributes): Promise<void>;
  /**
   * Flushes the file systems with these paths to their final place on disk, including what so far is only in
   * a journal (except XFS's). Takes as long as the disks need. Throws `BootFilesNotFlushedError`.
   */
  flush(paths: readonly string[]): Promise<void>;
  /** Creates or replaces a firmware variable: four bytes of attributes, then its value. */
  writeVariable(path: string, bytes: Uint8Array): Promise<void>;
  /** No error if it does not exist. */
  deleteVariable(path: string): Promise<void>;
}

const PIECE_BYTES = 2 ** 20;
const NS_PER_SECOND = 1_000_000_000n;
/** A busy server can have gigabytes that are not written yet. */
const PATIENT = new LocalMachine({ answerLimitMs: 30 * 60_000 });

/** The machine that this process runs on. */
export class LocalBootMachine extends LocalMachine implements BootMachine {
  readonly #hashes = new FileHashes();

  isRoot(): boolean {
    return process.geteuid?.() === 0;
  }

  async status(path: string): Promise<FileStatus | undefined> {
    const stats = await absentAsNothing(lstat(path, { bigint: true }));
    if (!stats) return undefined;
    return {
      kind: stats.isFile() ? "file" : stats.isDirectory() ? "folder" : "other",
      mode: Number(stats.mode) & 0o7777,
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      sizeBytes: Number(stats.size),
      allocatedBytes: Number(stats.blocks) * 512,
      modifiedNs: stats.mtimeNs,
    };
  }

  contents(path: string): Promise<Buffer | undefined> {
    return absentAsNothing(readFile(path));
  }

  hash(path: string): Promise<string | undefined> {
    return absentAsNothing(this.#hashes.of(path));
  }

  async create(path: string, bytes: Uint8Array, mode: number): Promise<void> {
    await using file = await open(path, "w", mode);
    // The umask narrows the mode given to `open`, which also ignores it for an existing file.
    await file.chmod(mode);
    await file.writeFile(bytes);
    await file.sync();
  }

  async copy(from: string, to: string, mode: number): Promise<void> {
    await using source = await open(from, "r");
    await using target = await open(to, "w", mode);
    await target.chmod(mode);
    for await (const piece of source.createReadStream({ highWaterMark: PIECE_BYTES, autoClose: false }))
      await target.writeFile(piece as Buffer);
    await target.sync();
  }

  async overwrite(path: string, bytes: Uint8Array, offset = 0): Promise<void> {
    await using file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    for (let done = 0; done < bytes.length; ) {
      done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
    }
    await file.sync();
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(from, to);
    await syncFolder(dirname(to));
  }

  async unlink(path: string): Promise<void> {
    const removed = await absentAsNothing(unlink(path).then(() => true));
    if (removed) await syncFolder(dirname(path));
  }

  async makeFolder(path: string, mode: number): Promise<void> {
    await mkdir(path, { mode });
    await syncFolder(dirname(path));
  }

  async removeFolder(path: string): Promise<boolean> {
    try {
      await rmdir(path);
    } catch (error) {
      const code = codeOf(error);
      if (code === "ENOENT") return true;
      if (code === "ENOTEMPTY" || code === "EEXIST") return false;
      throw error;
    }
    await syncFolder(dirname(path));
    return true;
  }

  async setAttributes(path: string, attributes: FileAttributes): Promise<void> {
    const now = await this.status(path);
    // FAT has neither owners nor permissions, and an attempt to set them fails.
    if (now?.uid !== attributes.uid || now.gid !== attributes.gid) {
      await chown(path, attributes.uid, attributes.gid);
    }
    if (now?.mode !== attributes.mode) await chmod(path, attributes.mode);
    if (now?.modifiedNs !== attributes.modifiedNs) await this.#setModified(path, attributes.modifiedNs);
    await using file = await open(path, "r");
    await file.sync();
  }

  async #setModified(path: string, modifiedNs: bigint): Promise<void> {
    await this.run("touch", "-c", "-m", "-d", `@${formatSeconds(modifiedNs)}`, path);
    const reached = await this.status(path);
    if (reached?.modifiedNs === modifiedNs) return;
    // Node's times are floating-point seconds.
    const { atimeMs } = await lstat(path);
    await utimes(path, atimeMs / 1000, Number(modifiedNs) / Number(NS_PER_SECOND));
  }

  flush(paths: readonly string[]): Promise<void> {
    return flushFileSystems(PATIENT, paths);
  }

  async writeVariable(path: string, bytes: Uint8Array): Promise<void> {
    try {
      await writeAtOnce(path, bytes);
    } catch (error) {
      if (codeOf(error) !== "EPERM") throw error;
      await this.#makeMutable(path);
      await writeAtOnce(path, bytes);
    }
  }

  async deleteVariable(path: string): Promise<void> {
    try {
      await absentAsNothing(unlink(path));
    } catch (error) {
      if (codeOf(error) !== "EPERM") throw error;
      await this.#makeMutable(path);
      await unlink(path);
    }
  }

  /** The kernel protects variables that it does not know against accidents with the immutable attribute. */
  async #makeMutable(path: string): Promise<void> {
    await this.run("chattr", "-i", path);
  }
}

/**
 * Flushes only these file systems if `sync` can (GNU's since 8.24, of 2015, by its own help), otherwise all.
 * Throws `BootFilesNotFlushedError` if that fails: what a disk error kept from being written is lost, and a
 * second attempt would not report it (`man 2 sync`).
 */
export async function flushFileSystems(
  machine: Pick<Machine, "run">,
  paths: readonly string[],
): Promise<void> {
  const help = await machine.run("sync", "--help");
  const words = help?.output.includes("--file-system") ? ["-f", ...paths] : [];
  const flushed = await machine.run("sync", ...words);
  if (flushed?.status === 0) return;
  const why = flushed ? flushed.output.trim() || "it did not end in time" : "it is not installed";
  throw new BootFilesNotFlushedError(paths, `\`${["sync", ...words].join(" ")}\`: ${why}`);
}

/** The firmware takes a variable whole or not at all: one write, without truncating it before. */
async function writeAtOnce(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, constants.O_WRONLY | constants.O_CREAT, 0o644);
  await file.write(bytes, 0, bytes.length, null);
}

async function absentAsNothing<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function formatSeconds(ns: bigint): string {
  return `${ns / NS_PER_SECOND}.${String(ns % NS_PER_SECOND).padStart(9, "0")}`;
}
