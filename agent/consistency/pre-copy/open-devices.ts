import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { deviceNumber } from "./device-tree.ts";
import type { OpenDevice } from "./raw-volumes.ts";

/** The flags of `open` that allow writing: `O_WRONLY` and `O_RDWR`. */
const WRITING = 0o3;

/**
 * The block devices that processes other than this one hold open for writing, except those that the kernel
 * has made something else of: disks with partitions, and parts of RAID arrays, volume groups and encrypted
 * volumes.
 */
export async function readOpenDevices(): Promise<OpenDevice[]> {
  const found = new Map<string, OpenDevice>();
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) continue;
    for (const device of await devicesOf(join("/proc", pid))) {
      if (found.has(device) || (await isMadeInto(device))) continue;
      const program = (await readFile(join("/proc", pid, "comm"), "utf8").catch(gone)) ?? "a program";
      found.set(device, { device, program: program.trim() });
    }
  }
  return [...found.values()];
}

/** A process may end at any time. */
async function devicesOf(process: string): Promise<string[]> {
  const devices: string[] = [];
  for (const file of (await readdir(join(process, "fd")).catch(gone)) ?? []) {
    const path = join(process, "fd", file);
    const target = await readlink(path).catch(gone);
    if (!target?.startsWith("/dev/")) continue;
    const stats = await stat(path).catch(gone);
    if (!stats?.isBlockDevice()) continue;
    const about = await readFile(join(process, "fdinfo", file), "utf8").catch(gone);
    const flags = Number.parseInt(/^flags:\s+([0-7]+)$/m.exec(about ?? "")?.[1] ?? "0", 8);
    if ((flags & WRITING) !== 0) devices.push(deviceNumber(stats.rdev));
  }
  return devices;
}

async function isMadeInto(device: string): Promise<boolean> {
  const folder = join("/sys/dev/block", device);
  const holders = (await readdir(join(folder, "holders")).catch(gone)) ?? [];
  if (holders.length > 0) return true;
  const parts = (await readdir(folder).catch(gone)) ?? [];
  for (const part of parts) if (await readFile(join(folder, part, "partition")).catch(gone)) return true;
  return false;
}

const NOT_SHOWN: readonly (string | undefined)[] = ["ENOENT", "ENOTDIR", "ESRCH", "EACCES"];

/**
 * What belongs to a process that has ended, or to a file that it has closed, does not exist any more. The
 * kernel shows root every process's files, but not those of a process outside a container that this agent
 * runs in.
 */
function gone(error: NodeJS.ErrnoException): undefined {
  if (!NOT_SHOWN.includes(error.code)) throw error;
}
