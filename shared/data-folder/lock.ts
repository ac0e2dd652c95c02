import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { FolderInUseError } from "./errors.ts";
import { makeFolder } from "./make-folder.ts";

/** The process that last took the folder. It is true only while the lock is held. */
const Holder = z.object({ program: z.string(), processId: z.int(), since: z.string() });

export interface FolderLock extends Disposable {
  release(): void;
}

/**
 * Takes a folder for this process alone, and creates it (for its owner only) if needed. The kernel releases
 * the lock when the process ends, however it ends, so a lock is never stale. Throws `FolderInUseError`, which
 * names the holder.
 */
export function lockFolder(folder: string, program: string, now: () => Date): FolderLock {
  makeFolder(folder);
  const file = join(folder, "lock.sqlite");
  // Node has no flock; an open exclusive transaction of SQLite is a lock of the operating system.
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    chmodSync(file, 0o600);
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (!isBusy(error)) throw error;
    throw new FolderInUseError(folder, holderOf(folder));
  }
  const holder = { program, processId: process.pid, since: now().toISOString() };
  writeFileSync(holderFile(folder), `${JSON.stringify(holder)}\n`, { mode: 0o600 });
  const release = () => database.close();
  return { release, [Symbol.dispose]: release };
}

function holderFile(folder: string): string {
  return join(folder, "lock.json");
}

function holderOf(folder: string): string {
  try {
    const { program, processId, since } = Holder.parse(JSON.parse(readFileSync(holderFile(folder), "utf8")));
    return `${program} (process ${processId}, since ${since})`;
  } catch {
    return "another process";
  }
}

const SQLITE_BUSY = 5;

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
}
