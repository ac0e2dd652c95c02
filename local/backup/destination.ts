import { lstatSync, realpathSync } from "node:fs";
import { lstat, mkdir, rm } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";

/** Where a backup is written. It creates both directories; neither may exist before. */
export interface BackupDestination {
  /** Everything but the keys. */
  data: string;
  /** The keys. They are kept apart because they decrypt all the data. */
  keys: string;
}

/** A backup cannot be written there: it would overwrite something, or other users could read it. */
export class BackupDestinationError extends Error {
  override readonly name = "BackupDestinationError";
}

/** The suffix of a backup directory's name until the backup is complete. */
const DRAFT = ".partial";
const GROUP_AND_OTHERS = 0o077;

/**
 * Checks, before anything is written, that the data, the keys and the source directory are separate and that
 * none is inside another. Keys inside the data directory would be copied along with it. Throws
 * `BackupDestinationError`.
 */
export function requireApart(directory: string, to: BackupDestination): void {
  for (const path of [to.data, to.keys]) if (isThere(path)) throw existsAlready(path);
  const taken = [directory, to.data, to.keys, `${to.data}${DRAFT}`, `${to.keys}${DRAFT}`];
  for (const [index, path] of taken.entries()) {
    for (const other of taken.slice(index + 1)) {
      const [one, two] = [realPath(path), realPath(other)];
      if (isWithin(one, two) || isWithin(two, one))
        throw new BackupDestinationError(`${path} and ${other} are not apart`);
    }
  }
}

/**
 * Creates the draft directory, which is later renamed to `path`, and returns its name. Removes the draft of
 * an earlier backup. Rejects with `BackupDestinationError` if other users could get in.
 */
export async function makeDraft(path: string): Promise<string> {
  const draft = `${path}${DRAFT}`;
  const left = await lstat(draft).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (left && !(left.isDirectory() && left.uid === process.geteuid?.())) throw existsAlready(draft);
  await rm(draft, { recursive: true, force: true });
  await mkdir(dirname(draft), { recursive: true, mode: 0o700 });
  // Not recursive, so this fails if another user creates the directory in the meantime.
  await mkdir(draft, { mode: 0o700 });
  const { mode } = await lstat(draft);
  if ((mode & GROUP_AND_OTHERS) === 0) return draft;
  await rm(draft, { recursive: true });
  throw new BackupDestinationError(`the file system of ${dirname(path)} keeps no folder from other users`);
}

function existsAlready(path: string): BackupDestinationError {
  return new BackupDestinationError(`${path} exists already`);
}

/** True for a dangling symbolic link too. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isWithin(path: string, folder: string): boolean {
  return `${path}${sep}`.startsWith(`${folder}${sep}`);
}

/** Resolves symbolic links. The path need not exist yet. */
function realPath(path: string): string {
  if (isThere(path)) return realpathSync(path);
  return join(realPath(dirname(path)), basename(path));
}
