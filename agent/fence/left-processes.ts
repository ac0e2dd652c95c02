import { readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Whether processes are in a control group or below it, by the kernel. `controlGroup`: as systemd names it.
 * One that is gone has none.
 */
export async function hasProcesses(controlGroup: string, root = "/sys/fs/cgroup"): Promise<boolean> {
  // Version 2, alone or beside version 1. Version 1 has no such file.
  for (const tree of ["", "unified"]) {
    const events = await textOf(join(root, tree, controlGroup, "cgroup.events"));
    if (events !== undefined) return /^populated 1$/m.test(events);
  }
  return ((await textOf(join(root, "systemd", controlGroup, "cgroup.procs"))) ?? "") !== "";
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENODEV") return undefined;
    throw error;
  });
}
