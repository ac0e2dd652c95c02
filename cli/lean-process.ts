/**
 * How an agent is started to stay small beside the machine's own work: a nursery of 1 MiB, and two arenas of the C library where there would be
 * eight per core, each of which keeps what its threads gave back. See docs/decisions/0013.
 */
export const LEAN_FLAGS: readonly string[] = ["--max-semi-space-size=1"];
export const LEAN_ENVIRONMENT = { MALLOC_ARENA_MAX: "2" } as const;

/**
 * Starts this process's program anew with these settings, in the same process. They are read at a process's start, so they cannot be set later.
 * Does nothing where they, or others for the C library, are set already, and where Node cannot replace itself; the agent then only takes more memory.
 */
export function becomeLean(current: NodeJS.Process, compileCache: string): void {
  if (current.env.MALLOC_ARENA_MAX !== undefined || typeof current.execve !== "function") return;
  const { execPath, execArgv, argv, env } = current;
  current.execve(execPath, [execPath, ...execArgv, ...LEAN_FLAGS, ...argv.slice(1)], {
    ...env,
    ...LEAN_ENVIRONMENT,
    // From the first module on: what strips types takes 25 MiB, and one module that is not cached is enough to load it.
    NODE_COMPILE_CACHE: compileCache,
  });
}
