import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { deviceNumber } from "./device-tree.ts";
import { ofProcess, processFolders } from "./processes.ts";
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
  for (const folder of await processFolders()) {
    if (folder === `/proc/${process.pid}`) continue;
    for (const device of await devicesOf(folder)) {
      if (found.has(device) || (await isMadeInto(device))) continue;
      const program = (await ofProcess(readFile(join(folder, "comm"), "utf8"))) ?? "a program";
      found.set(device, { device, program: program.trim() });
    }
  }
  return [...found.values()];
}

async function devicesOf(process: string): Promise<string[]> {
  const devices: string[] = [];
  for (const file of (await ofProcess(readdir(join(process, "fd")))) ?? []) {
    const path = join(process, "fd", file);
    const target = await ofProcess(readlink(path));
    if (!target?.startsWith("/dev/")) continue;
    const stats = await ofProcess(stat(path));
    if (!stats?.isBlockDevice()) continue;
    const about = await ofProcess(readFile(join(process, "fdinfo", file), "utf8"));
    const flags = Number.parseInt(/^flags:\s+([0-7]+)$/m.exec(about ?? "")?.[1] ?? "0", 8);
    if ((flags & WRITING) !== 0) devices.push(deviceNumber(stats.rdev));
  }
  return devices;
}

/** Whether the kernel has made something else of this device, such as partitions. */
export async function isMadeInto(device: string): Promise<boolean> {
  const folder = join("/sys/dev/block", device);
  const holders = (await readdir(join(folder, "holders")).catch(gone)) ?? [];
  if (holders.length > 0) return true;
  const parts = (await readdir(folder).catch(gone)) ?? [];
  for (const part of parts) if (await readFile(join(folder, part, "partition")).catch(gone)) return true;
  return false;
}

/** The device was removed just now, or the entry is none of a partition. */
function gone(error: NodeJS.ErrnoException): undefined {
  if (!["ENOENT", "ENOTDIR"].includes(error.code ?? "")) throw error;
}
