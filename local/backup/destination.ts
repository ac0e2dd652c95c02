import { lstatSync, realpathSync } from "node:fs";
import { lstat, mkdir, rm } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";

/** Where a backup goes. Both directories are made and must not exist before. */
export interface BackupDestination {
  /** Everything but the keys. */
  data: string;
  /** The keys: kept apart, since with them everything can be read. */
  keys: string;
}

/** A backup cannot go there: it does not overwrite, and nothing of it is for other users. */
export class BackupDestinationError extends Error {
  override readonly name = "BackupDestinationError";
}

/** Until it is complete, a backup's directory has this at the end of its name. */
const DRAFT = ".partial";
const GROUP_AND_OTHERS = 0o077;

/**
 * Checks, before anything is written, that data, keys and the directory that is copied are three places, none
 * inside another: keys beside the data would be copied with it. Throws `BackupDestinationError`.
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
 * Makes the directory that becomes `path`, and returns its name until then; what an earlier backup left of it
 * is removed. Throws `BackupDestinationError` where other users could get in.
 */
export async function makeDraft(path: string): Promise<string> {
  const draft = `${path}${DRAFT}`;
  const left = await lstat(draft).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (left && !(left.isDirectory() && left.uid === process.geteuid?.())) throw existsAlready(draft);
  await rm(draft, { recursive: true, force: true });
  await mkdir(dirname(draft), { recursive: true, mode: 0o700 });
  // Not recursive: what another user puts there in between is not taken for ours.
  await mkdir(draft, { mode: 0o700 });
  const { mode } = await lstat(draft);
  if ((mode & GROUP_AND_OTHERS) === 0) return draft;
  await rm(draft, { recursive: true });
  throw new BackupDestinationError(`the file system of ${dirname(path)} keeps no folder from other users`);
}

function existsAlready(path: string): BackupDestinationError {
  return new BackupDestinationError(`${path} exists already`);
}

/** Also a link that leads nowhere. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isWithin(path: string, folder: string): boolean {
  return `${path}${sep}`.startsWith(`${folder}${sep}`);
}

/** Without links, also of what does not exist yet. */
function realPath(path: string): string {
  if (isThere(path)) return realpathSync(path);
  return join(realPath(dirname(path)), basename(path));
}
