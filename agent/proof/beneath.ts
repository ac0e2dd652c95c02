import { closeSync, constants, openSync } from "node:fs";

const SLASH = 0x2f;
const FOLDER: number =
  constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The path of a name in an open folder, whatever happens to that folder's own path meanwhile. */
export function inOpenFolder(folder: number, name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${folder}/`), name]);
}

/**
 * Opens what is at a relative path below an open folder, name by name: no link is followed, so nothing
 * outside of the folder is reached, also if someone exchanges a folder for a link meanwhile. Throws what
 * `openSync` does; `ELOOP` or `ENOTDIR` for a link. The path must be one that `isPlainPath` accepts.
 * `onFolder` gets each folder on the way, from the top, while it is open.
 */
export function openBeneath(
  root: number,
  path: Buffer,
  flags: number,
  onFolder: (folder: number) => void = () => undefined,
): number {
  let folder = root;
  try {
    for (let at = 0; ; ) {
      const slash = path.indexOf(SLASH, at);
      const isLast = slash < 0;
      const name = path.subarray(at, isLast ? path.length : slash);
      const opened = openSync(inOpenFolder(folder, name), isLast ? flags | constants.O_NOFOLLOW : FOLDER);
      if (folder !== root) closeSync(folder);
      if (isLast) {
        folder = root;
        return opened;
      }
      folder = opened;
      onFolder(folder);
      at = slash + 1;
    }
  } finally {
    if (folder !== root) closeSync(folder);
  }
}

/** Linux allows no longer path. */
export const MOST_PATH_BYTES = 4096;

/** Whether it is names with one slash between two, none of which leads up or nowhere. */
export function isPlainPath(path: Buffer): boolean {
  if (path.length === 0 || path.length > MOST_PATH_BYTES || path.includes(0)) return false;
  // Names are bytes: latin1 keeps each as one character.
  return path
    .toString("latin1")
    .split("/")
    .every((name) => name !== "" && name !== "." && name !== "..");
}
