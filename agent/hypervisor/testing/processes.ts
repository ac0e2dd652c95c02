import { readdir, readFile } from "node:fs/promises";

/** The ids of the QEMU processes that a process has started. */
export async function qemusOf(parent: number): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    // A process can end while we look.
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    if (/^Name:\tqemu-system/m.test(status) && new RegExp(`^PPid:\t${parent}$`, "m").test(status)) {
      found.push(Number(pid));
    }
  }
  return found;
}
