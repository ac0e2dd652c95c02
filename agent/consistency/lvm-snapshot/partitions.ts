import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** A partition as the kernel has it. */
export interface KernelPartition {
  number: number;
  /** As in /sys. */
  device: string;
  path: string;
}

/** The partitions of the disk with this number in /sys. */
export async function readPartitions(disk: string): Promise<KernelPartition[]> {
  const folder = join("/sys/dev/block", disk);
  const found: KernelPartition[] = [];
  for (const name of await readdir(folder)) {
    const number = await readFile(join(folder, name, "partition"), "utf8").catch(absent);
    if (number === undefined) continue;
    const device = (await readFile(join(folder, name, "dev"), "utf8")).trim();
    found.push({ number: Number(number), device, path: join("/dev", name.replaceAll("!", "/")) });
  }
  return found;
}

/** How many sectors were written to a device since the system started. */
export async function sectorsWritten(device: string): Promise<number> {
  // https://docs.kernel.org/block/stat.html
  const statistics = await readFile(join("/sys/dev/block", device, "stat"), "utf8");
  return Number(statistics.trim().split(/\s+/)[6]);
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (!["ENOENT", "ENOTDIR"].includes(error.code ?? "")) throw error;
}
