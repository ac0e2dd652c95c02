import { readdir, readFile } from "node:fs/promises";

/**
 * Sends a signal to every process that runs the virtual machine, by the uuid in its command line: libvirt's
 * QEMU has it there, and ours. Resolves with their process ids.
 */
export async function signalMachine(uuid: string, signal: NodeJS.Signals): Promise<number[]> {
  const found = await processesOf(uuid);
  for (const pid of found) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      // It has ended meanwhile.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  return found;
}

/** Whether a process that runs the virtual machine is stopped by a signal: its system does not run. */
export async function isMachineStopped(uuid: string): Promise<boolean> {
  for (const pid of await processesOf(uuid)) {
    // It can end while we look.
    const status = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
    // The state follows the name in brackets, which may have brackets of its own.
    if (status.slice(status.lastIndexOf(")") + 2).startsWith("T")) return true;
  }
  return false;
}

async function processesOf(uuid: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // A process can end while we look.
    const words = (await readFile(`/proc/${name}/cmdline`, "latin1").catch(() => "")).split("\0");
    if (words.some((word, index) => word === "-uuid" && words[index + 1] === uuid)) found.push(Number(name));
  }
  return found;
}
