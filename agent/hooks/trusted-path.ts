/** What runs as root must be root's alone: `UntrustedFolderError` says why something is not. */
import type { Stats } from "node:fs";
import { lstat } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { UntrustedFolderError } from "#shared/errors.ts";

export type TrustedKind = "folder" | "script" | "file";

/**
 * Every folder from the root to this one must be safe: who can write to one of them can put another in
 * its place.
 */
export async function requireSafeWay(folder: string): Promise<void> {
  const parts = resolve(folder).split(sep).slice(1);
  for (let depth = 0; depth <= parts.length; depth++) {
    const path = `/${parts.slice(0, depth).join("/")}`;
    const isLast = depth === parts.length;
    await requireSafe(path, "folder", isLast ? undefined : STICKY);
  }
}

const GROUP_AND_OTHERS_WRITE = 0o022;
const OWNER_EXECUTES = 0o100;
/** Only the owner of a file may rename or remove it in such a folder. */
const STICKY = 0o1000;

/** Throws unless only root decides about it. `excuse`: a bit of the mode with which others may write. */
export async function requireSafe(path: string, kind: TrustedKind, excuse = 0): Promise<void> {
  const objection = objectionTo(await lstat(path), kind, excuse);
  if (objection)
    throw refused(path, objection, `Check ${path}: it must belong to root, who alone may write to it.`);
}

function objectionTo(status: Stats, kind: TrustedKind, excuse: number): string | undefined {
  if (status.isSymbolicLink()) return "it is a link";
  if (kind === "folder" && !status.isDirectory()) return "it is not a folder";
  if (kind !== "folder" && !status.isFile()) return "it is not a file";
  if (status.uid !== 0) return `it belongs to user ${status.uid}, not to root`;
  if ((status.mode & GROUP_AND_OTHERS_WRITE) !== 0 && (status.mode & excuse) === 0)
    return "users other than root may write to it";
  if (kind === "script" && (status.mode & OWNER_EXECUTES) === 0) return "it is not executable";
  return undefined;
}

/** An error that says why the path is not used. */
export function refused(path: string, why: string, remedy: string): UntrustedFolderError {
  return new UntrustedFolderError(path, why, remedy);
}
