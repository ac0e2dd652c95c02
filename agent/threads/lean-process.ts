import { statSync } from "node:fs";
import { flushCompileCache, getCompileCacheDir } from "node:module";

/**
 * How an agent is started to stay small beside the machine's own work: a nursery of 1 MiB, a collector that
 * may be called, and a C library that gives memory back: one arena where there would be eight per core, and
 * buffers from 64 KiB on outside of them. See docs/decisions/0013.
 */
export const LEAN_FLAGS: readonly string[] = ["--max-semi-space-size=1", "--expose-gc"];
export const LEAN_ENVIRONMENT = {
  MALLOC_ARENA_MAX: "1",
  // Fixed: the C library would raise both with the first large buffer that is freed, and then keep such
  // buffers for itself.
  MALLOC_MMAP_THRESHOLD_: "65536",
  MALLOC_TRIM_THRESHOLD_: "65536",
} as const;

/** Says that what is only needed once was done by an earlier program of this process. */
const SETTLED = "CAUSEWAY_AGENT_SETTLED";

/**
 * Starts this process's program anew with these settings, in the same process. They are read at a process's
 * start, so they cannot be set later. What the operator set for the C library stays. Does nothing where all
 * is set already, and where Node cannot replace itself; the agent then only takes more memory.
 */
export function becomeLean(current: NodeJS.Process, compileCache?: string): void {
  if (isLean(current)) return;
  startAnew(current, [...current.execArgv, ...LEAN_FLAGS], {
    ...LEAN_ENVIRONMENT,
    ...current.env,
    // From the first module on: what strips types takes 25 MiB, and one module that is not cached is enough
    // to load it.
    ...(compileCache === undefined ? {} : { NODE_COMPILE_CACHE: compileCache }),
  });
}

/**
 * Starts a lean program anew, once, after it did what is only needed at a first start: `enrolled`, or
 * compiled modules that it found changed. What that took would stay for the rest of the agent's life.
 */
export function restartOnce(current: NodeJS.Process, { enrolled }: { enrolled: boolean }): void {
  const compiled = keepCompiled();
  if (!isLean(current) || current.env[SETTLED] !== undefined || !(enrolled || compiled)) return;
  startAnew(current, current.execArgv, { ...current.env, [SETTLED]: "1" });
}

function isLean({ execArgv }: NodeJS.Process): boolean {
  return LEAN_FLAGS.every((flag) => execArgv.includes(flag));
}

function startAnew(current: NodeJS.Process, flags: string[], environment: NodeJS.ProcessEnv): void {
  const { execPath, argv, execve } = current;
  if (typeof execve === "function")
    execve.call(current, execPath, [execPath, ...flags, ...argv.slice(1)], environment);
}

/** Writes the modules compiled so far to the cache; whether there were any. */
function keepCompiled(): boolean {
  const folder = getCompileCacheDir();
  if (folder === undefined) return false;
  const changed = () => statSync(folder, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
  const before = changed();
  flushCompileCache();
  return changed() !== before;
}
