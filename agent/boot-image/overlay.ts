import { posix } from "node:path";
import { type ArchiveEntry, writeArchive } from "./cpio.ts";

/** Where the boot environment finds the files of its job. */
export const OVERLAY_FOLDER = "/causeway/overlay";

const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;

/**
 * A job's files as an archive to append to the initial RAM disk: identity, restore data, `network` (see
 * `formatNetworkPlan`), `deadline`. Names are paths below `OVERLAY_FOLDER`. Only root can read it, in the
 * boot environment and where it is staged.
 */
export function writeOverlay(files: ReadonlyMap<string, Uint8Array>): Buffer {
  const folders = new Set<string>();
  const entries: ArchiveEntry[] = [];
  for (const [name, data] of files) {
    if (!FILE_NAME.test(name)) throw new RangeError(`${name} cannot be the name of a job's file`);
    const path = posix.join(OVERLAY_FOLDER.slice(1), name);
    entries.push({ kind: "file", path, mode: 0o600, data });
    for (let folder = posix.dirname(path); folder !== "."; folder = posix.dirname(folder))
      folders.add(folder);
  }
  for (const path of folders) entries.push({ kind: "directory", path, mode: 0o700 });
  return writeArchive(entries, 0);
}
