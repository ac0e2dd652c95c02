import { readdir, readFile } from "node:fs/promises";

/**
 * Sends a signal to every process that runs the virtual machine, by the uuid in its command line: libvirt's
 * QEMU has it there, and ours. Resolves with their process ids.
 */
export async function signalMachine(uuid: string, signal: NodeJS.Signals): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // A process can end while we look.
    const words = (await readFile(`/proc/${name}/cmdline`, "latin1").catch(() => "")).split("\0");
    if (!words.some((word, index) => word === "-uuid" && words[index + 1] === uuid)) continue;
    found.push(Number(name));
    process.kill(Number(name), signal);
  }
  return found;
}
