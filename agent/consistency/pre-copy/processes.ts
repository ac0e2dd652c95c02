import { readdir } from "node:fs/promises";

/** The folders in /proc of the processes that this one sees, itself among them. */
export async function processFolders(): Promise<string[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map((pid) => `/proc/${pid}`);
}

/**
 * What is read of another process; `undefined` if it has ended, has closed the file, or is not shown. The
 * kernel shows root every process, but not those outside a container that this agent runs in.
 */
export function ofProcess<T>(reading: Promise<T>): Promise<T | undefined> {
  return reading.catch((error: NodeJS.ErrnoException) => {
    if (["ENOENT", "ESRCH", "EACCES", "EINVAL"].includes(error.code ?? "")) return undefined;
    throw error;
  });
}
