import { createHash } from "node:crypto";
import { type BigIntStats, closeSync, constants, fstatSync, readSync } from "node:fs";
import { openBeneath } from "./beneath.ts";

/** What a kernel shows of a regular file. */
export interface FileFacts {
  /** Its number within its file system, or subvolume. */
  inode: string;
  sizeBytes: number;
  mode: number;
  /** When it was modified: nanoseconds since 1970. */
  modified: string;
  /** Of its content, in hex digits. */
  sha256: string;
}

/** An open regular file, as it was before it is read. */
export interface OpenedRegular {
  fd: number;
  stats: BigIntStats;
}

const READ: number = constants.O_RDONLY | constants.O_NONBLOCK;
const PIECE_BYTES = 256 * 1024;
const piece = Buffer.alloc(PIECE_BYTES);

/**
 * Opens the regular file at a relative path below an open folder, without waiting for anything. `undefined`
 * if it is something else. `noAccessTime`: that it is read leaves no trace; only its owner and root may ask.
 * `onFolder` as of `openBeneath`.
 */
export function openRegular(
  root: number,
  path: Buffer,
  { noAccessTime, onFolder }: { noAccessTime: boolean; onFolder?: (folder: number) => void },
): OpenedRegular | undefined {
  const fd = openBeneath(root, path, noAccessTime ? READ | constants.O_NOATIME : READ, onFolder);
  const stats = fstatSync(fd, { bigint: true });
  if (stats.isFile()) return { fd, stats };
  closeSync(fd);
  return undefined;
}

/**
 * Reads all of an open file, and says what it is. `undefined` if `goOn`, which is asked after each piece,
 * says no.
 */
export function readFileFacts({ fd, stats }: OpenedRegular, goOn: () => boolean): FileFacts | undefined {
  const digest = createHash("sha256");
  let sizeBytes = 0;
  for (;;) {
    const bytes = readSync(fd, piece, 0, PIECE_BYTES, null);
    if (bytes === 0) break;
    digest.update(piece.subarray(0, bytes));
    sizeBytes += bytes;
    if (!goOn()) return undefined;
  }
  return {
    inode: String(stats.ino),
    sizeBytes,
    mode: Number(stats.mode & 0o7777n),
    modified: String(stats.mtimeNs),
    sha256: digest.digest("hex"),
  };
}
