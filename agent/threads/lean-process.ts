import { statSync } from "node:fs";
import { flushCompileCache, getCompileCacheDir } from "node:module";

/**
 * How an agent starts so that it stays small beside the machine's own work: a nursery of 1 MiB, a collector
 * that can be called, and a C library that returns memory, with one arena instead of eight per core, and
 * buffers of 64 KiB and more outside of them. See docs/decisions/0013.
 */
export const LEAN_FLAGS: readonly string[] = ["--max-semi-space-size=1", "--expose-gc"];
export const LEAN_ENVIRONMENT = {
  MALLOC_ARENA_MAX: "1",
  // Fixed: the C library would raise both when the first large buffer is freed, and then keep such buffers
  // for itself.
  MALLOC_MMAP_THRESHOLD_: "65536",
  MALLOC_TRIM_THRESHOLD_: "65536",
} as const;

/** Set once an earlier program of this process has done what is needed only once. */
const SETTLED = "CAUSEWAY_AGENT_SETTLED";

/**
 * Restarts this process's program with these settings, in the same process. They are read at the start of a
 * process, so they cannot be set later. Keeps what the operator set for the C library. Has no effect if
 * everything is set already, or if Node cannot replace itself; the agent then only takes more memory.
 */
export function becomeLean(current: NodeJS.Process, compileCache?: string): void {
  if (isLean(current)) return;
  startAgain(current, [...current.execArgv, ...LEAN_FLAGS], {
    ...LEAN_ENVIRONMENT,
    ...current.env,
    // Set before the first module: what strips types takes 25 MiB, and one module that is not cached is
    // enough to load it.
    ...(compileCache === undefined ? {} : { NODE_COMPILE_CACHE: compileCache }),
  });
}

/**
 * Restarts a lean program once, after it did what only a first start needs: it enrolled (`enrolled`), or
 * compiled modules that had changed. The memory for that would stay allocated for the rest of the agent's
 * life.
 */
export function restartOnce(current: NodeJS.Process, { enrolled }: { enrolled: boolean }): void {
  const compiled = keepCompiled();
  if (!isLean(current) || current.env[SETTLED] !== undefined || !(enrolled || compiled)) return;
  startAgain(current, current.execArgv, { ...current.env, [SETTLED]: "1" });
}

function isLean({ execArgv }: NodeJS.Process): boolean {
  return LEAN_FLAGS.every((flag) => execArgv.includes(flag));
}

function startAgain(current: NodeJS.Process, flags: string[], environment: NodeJS.ProcessEnv): void {
  const { execPath, argv, execve } = current;
  if (typeof execve === "function")
    execve.call(current, execPath, [execPath, ...flags, ...argv.slice(1)], environment);
}

/** Writes the modules compiled so far to the cache; returns whether there were any. */
function keepCompiled(): boolean {
  const folder = getCompileCacheDir();
  if (folder === undefined) return false;
  const changed = () => statSync(folder, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
  const before = changed();
  flushCompileCache();
  return changed() !== before;
}
