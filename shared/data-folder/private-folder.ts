import { chmodSync, lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { FolderNotOursError, FolderOfOthersError } from "./errors.ts";
import { makeFolder } from "./make-folder.ts";

const GROUP_AND_OTHERS = 0o077;
/** A folder with one of these is ours, because only a Causeway program makes them. */
const OWN_MARKS: readonly string[] = ["version.json", "lock.sqlite", "identity.json", "kms"];
/** The folder in the root of every ext file system. */
const OF_THE_FILE_SYSTEM = "lost+found";

/**
 * Makes a folder that only this process's user can enter, or restricts an existing one to 0700, and the files
 * in it to 0600. Leaves the folders named in `except` as they are. Throws before it changes anything:
 * `FolderNotOursError` if the folder or something in it belongs to another user, and `FolderOfOthersError` if
 * it is not Causeway's, such as `/etc` named by mistake.
 */
export function makePrivateFolder(folder: string, except: readonly string[] = []): void {
  makeFolder(folder);
  const status = statSync(folder);
  if (!isOwn(status)) throw new FolderNotOursError(folder, folder, status.uid);
  if ((status.mode & GROUP_AND_OTHERS) === 0) return;
  requireOwnMark(folder, except);
  // From here on no other user can enter, so the content does not change during the check.
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
