import { existsSync } from "node:fs";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isRunning } from "./running-process.ts";

const KEPT = 3;

/** The folder in which an assembly is built before it gets its name: `KEY.PID`. */
export function draftFolderOf(key: string): string {
  return `${key}.${process.pid}`;
}

export function isAssembly(folder: string): boolean {
  return existsSync(join(folder, "manifest.json"));
}

/**
 * Gives a draft its name, unless another process was first: that one may read its assembly already, which is
 * the same.
 */
export async function nameDraft(draft: string, wanted: string): Promise<void> {
  // What has this name is whole, or its removal was interrupted.
  if (!isAssembly(wanted)) await rm(wanted, { recursive: true, force: true });
  try {
    await rename(draft, wanted);
  } catch (error) {
    if (!isAssembly(wanted)) throw error;
    await rm(draft, { recursive: true });
  }
}

/**
 * Removes stale assemblies from a folder: all except `key` and the newest few others, which another process
 * may just have chosen, and the drafts of processes that no longer run.
 */
export async function dropStale(folder: string, key: string): Promise<void> {
  const names = await readdir(folder);
  const drafts = names.filter((name) => name.includes("."));
  const others = names.filter((name) => name !== key && !name.includes("."));
  const aged = await Promise.all(others.map(async (name) => ({ name, at: await changedAt(folder, name) })));
  const old = aged.sort((a, b) => b.at - a.at).slice(KEPT);
  const abandoned = drafts.filter((name) => !isRunning(Number(name.split(".").at(-1))));
  for (const name of [...old.map((one) => one.name), ...abandoned])
    await rm(join(folder, name), { recursive: true, force: true });
}

/** 0 if another process has just removed it. */
async function changedAt(folder: string, name: string): Promise<number> {
  try {
    return (await stat(join(folder, name))).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
