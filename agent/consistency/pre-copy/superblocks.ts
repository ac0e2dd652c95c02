import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Superblock } from "./volumes-to-freeze.ts";

/** Kinds of file systems that the kernel lists while they are mounted, each by the name of its device. */
const LISTED = ["ext4", "xfs", "f2fs"];

/**
 * The mounted file systems of these kinds, and btrfs, wherever they are mounted: also where no process can
 * see them any more, although one still has a file there open.
 */
export async function readSuperblocks(): Promise<Superblock[]> {
  const found: Superblock[] = [];
  for (const type of LISTED)
    for (const name of await namesIn(`/sys/fs/${type}`)) {
      const devices = await numbersOf([name]);
      if (devices.length > 0) found.push({ type, devices });
    }
  for (const uuid of await namesIn("/sys/fs/btrfs")) {
    const devices = await numbersOf(await namesIn(join("/sys/fs/btrfs", uuid, "devices")));
    if (devices.length > 0) found.push({ type: "btrfs", devices });
  }
  return found;
}

async function numbersOf(kernelNames: readonly string[]): Promise<string[]> {
  const numbers = kernelNames.map((name) =>
    readFile(join("/sys/class/block", name, "dev"), "utf8").catch(absent),
  );
  return (await Promise.all(numbers)).flatMap((number) => number?.trim() ?? []);
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(absent)) ?? [];
}

/** The kernel has no such kind, the entry is none of a file system, or it was unmounted just now. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
}
