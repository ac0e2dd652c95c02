import type { Stats } from "node:fs";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { UntrustedFolderError } from "#shared/errors.ts";
import { HookName, type HookPhase, MOST_HOOKS } from "#shared/protocol/point-hooks.ts";

/** A hook of this machine: a folder with a script `before`, and perhaps a script `after`. */
export interface Hook {
  name: string;
  before: string;
  after?: string;
  /** How long each of its scripts may run. */
  limitMs: number;
}

const DEFAULT_LIMIT_SECONDS = 30;
const MOST_LIMIT_SECONDS = 600;
/** Has another limit for the hook's scripts, in seconds. */
const LIMIT_FILE = "time-limit";

/**
 * The hooks in a folder, in the order of their names; none if the folder does not exist. Throws
 * `UntrustedFolderError`, which says why, if a user other than root could decide what runs, or if something
 * in the folder is not a hook. The scripts run as root, so one doubt refuses all of them.
 */
export async function findHooks(folder: string): Promise<Hook[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!names) return [];
  await requireSafeWay(folder);
  const visible = names.filter((name) => !name.startsWith(".")).sort();
  if (visible.length > MOST_HOOKS)
    throw refused(
      folder,
      `it has ${visible.length} hooks, and at most ${MOST_HOOKS} are run`,
      "Remove some.",
    );
  const hooks: Hook[] = [];
  for (const name of visible) hooks.push(await hookIn(folder, name));
  return hooks;
}

/**
 * The script of a hook that was found before, checked again; `undefined` if the hook has none, or is no
 * longer there. Throws `UntrustedFolderError`.
 */
export async function findScript(
  folder: string,
  name: string,
  phase: HookPhase,
): Promise<{ path: string; limitMs: number } | undefined> {
  if (!(await isThere(join(folder, name, phase)))) return undefined;
  await requireSafeWay(folder);
  const hook = await hookIn(folder, name);
  const path = hook[phase];
  return path === undefined ? undefined : { path, limitMs: hook.limitMs };
}

async function hookIn(folder: string, name: string): Promise<Hook> {
  const own = join(folder, name);
  if (!HookName.safeParse(name).success)
    throw refused(own, "a hook's name has only letters, digits, - and _", "Rename or remove it.");
  requireSafe(own, await lstat(own), "folder");
  const files = await readdir(own);
  // A script may read the files beside it, so they decide what runs, too.
  for (const file of files) requireSafe(join(own, file), await lstat(join(own, file)), kindOf(file));
  const scriptOf = (phase: HookPhase) => (files.includes(phase) ? join(own, phase) : undefined);
  const [before, after] = [scriptOf("before"), scriptOf("after")];
  if (before === undefined)
    throw refused(own, "it has no script named before", "Add the script, or remove the folder.");
  const limitMs = 1000 * (files.includes(LIMIT_FILE) ? await limitIn(own) : DEFAULT_LIMIT_SECONDS);
  return { name, before, ...(after === undefined ? {} : { after }), limitMs };
}

async function limitIn(hook: string): Promise<number> {
  const text = (await readFile(join(hook, LIMIT_FILE), "utf8")).trim();
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= MOST_LIMIT_SECONDS) return seconds;
  const path = join(hook, LIMIT_FILE);
  throw refused(path, `it is not a number of seconds from 1 to ${MOST_LIMIT_SECONDS}`, `Correct ${path}.`);
}

type Kind = "folder" | "script" | "file";
const kindOf = (file: string): Kind => (file === "before" || file === "after" ? "script" : "file");

/** Every folder from the root to this one: who can write to one of them can put another in its place. */
async function requireSafeWay(folder: string): Promise<void> {
  const parts = resolve(folder).split(sep).slice(1);
  for (let depth = 0; depth <= parts.length; depth++) {
    const path = `/${parts.slice(0, depth).join("/")}`;
    const isLast = depth === parts.length;
    requireSafe(path, await lstat(path), "folder", isLast ? undefined : STICKY);
  }
}

const GROUP_AND_OTHERS_WRITE = 0o022;
const OWNER_EXECUTES = 0o100;
/** Only the owner of a file may rename or remove it in such a folder. */
const STICKY = 0o1000;

/** Throws unless only root decides about it. `excuse`: a bit of the mode with which others may write. */
function requireSafe(path: string, status: Stats, kind: Kind, excuse = 0): void {
  const objection = objectionTo(status, kind, excuse);
  if (objection)
    throw refused(path, objection, `Check ${path}: it must belong to root, who alone may write to it.`);
}

function objectionTo(status: Stats, kind: Kind, excuse: number): string | undefined {
  if (status.isSymbolicLink()) return "it is a link";
  if (kind === "folder" && !status.isDirectory()) return "it is not a folder";
  if (kind !== "folder" && !status.isFile()) return "it is not a file";
  if (status.uid !== 0) return `it belongs to user ${status.uid}, not to root`;
  if ((status.mode & GROUP_AND_OTHERS_WRITE) !== 0 && (status.mode & excuse) === 0)
    return "users other than root may write to it";
  if (kind === "script" && (status.mode & OWNER_EXECUTES) === 0) return "it is not executable";
  return undefined;
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return false;
      throw error;
    },
  );
}

function refused(path: string, why: string, remedy: string): UntrustedFolderError {
  return new UntrustedFolderError(path, why, remedy);
}
