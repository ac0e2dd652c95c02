import { chmodSync, lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { FolderNotOursError, FolderOfOthersError } from "./errors.ts";
import { makeFolder } from "./make-folder.ts";

const GROUP_AND_OTHERS = 0o077;
/** A folder that has one of these is ours: a program of ours made it there. */
const OWN_MARKS: readonly string[] = ["version.json", "lock.sqlite", "identity.json", "kms"];
/** In the root of every ext file system. */
const OF_THE_FILE_SYSTEM = "lost+found";

/**
 * Makes a folder that only this process's user can enter, or makes one that exists so: 0700, and 0600 for
 * what is in it. Leaves the folders named in `except` as they are. Throws, and changes nothing:
 * `FolderNotOursError` if the folder or something that could be put into it belongs to another user, and
 * `FolderOfOthersError` if it serves others, as `/etc` does, named by mistake.
 */
export function makePrivateFolder(folder: string, except: readonly string[] = []): void {
  makeFolder(folder);
  const status = statSync(folder);
  if (!isOwn(status)) throw new FolderNotOursError(folder, folder, status.uid);
  if ((status.mode & GROUP_AND_OTHERS) === 0) return;
  requireOwnMark(folder, except);
  // From here on no other user gets in, so what is looked at stays what it is.
  chmodSync(folder, 0o700);
  try {
    const entries = entriesOf(folder, except);
    for (const { path, status } of entries) {
      if (!isOwn(status)) throw new FolderNotOursError(folder, path, status.uid);
    }
    for (const { path, status } of entries) {
      if (!status.isSymbolicLink()) chmodSync(path, status.mode & 0o7777 & ~GROUP_AND_OTHERS);
    }
  } catch (error) {
    chmodSync(folder, status.mode & 0o7777);
    throw error;
  }
}

function requireOwnMark(folder: string, except: readonly string[]): void {
  const found = readdirSync(folder).filter((name) => !except.includes(name) && name !== OF_THE_FILE_SYSTEM);
  const [first] = found;
  if (first !== undefined && !found.some((name) => OWN_MARKS.includes(name)))
    throw new FolderOfOthersError(folder, first);
}

function isOwn({ uid }: Stats): boolean {
  return uid === process.geteuid?.();
}

function entriesOf(folder: string, except: readonly string[]): { path: string; status: Stats }[] {
  return readdirSync(folder).flatMap((name) => {
    if (except.includes(name)) return [];
    const path = join(folder, name);
    const status = lstatSync(path);
    return [{ path, status }, ...(status.isDirectory() ? entriesOf(path, []) : [])];
  });
}
