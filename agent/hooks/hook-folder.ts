import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { HookName, type HookPhase, MOST_HOOKS } from "#shared/protocol/point-hooks.ts";
import { refused, requireSafe, requireSafeWay, type TrustedKind } from "./trusted-path.ts";

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
  await requireSafe(own, "folder");
  const files = await readdir(own);
  // A script may read the files beside it, so they decide what runs, too.
  for (const file of files) await requireSafe(join(own, file), kindOf(file));
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

const kindOf = (file: string): TrustedKind => (file === "before" || file === "after" ? "script" : "file");

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return false;
      throw error;
    },
  );
}
