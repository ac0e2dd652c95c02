import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Another process runs an embedded cloud on this directory. */
export class DirectoryInUseError extends Error {
  override readonly name = "DirectoryInUseError";
}

/**
 * Takes a directory for this process alone, creating it (for its owner only) if needed. The kernel releases the lock when the process
 * ends, however it ends, so none is ever stale. Throws `DirectoryInUseError` if it is taken.
 */
export function lockDirectory(directory: string): { release(): void } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, "lock.sqlite");
  // Node has no flock; an open exclusive transaction of SQLite is a lock of the operating system.
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    chmodSync(file, 0o600);
    database.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    throw new DirectoryInUseError(`an embedded cloud already runs on ${directory}`, { cause });
  }
  return { release: () => database.close() };
}
