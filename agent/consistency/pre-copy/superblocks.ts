import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DeviceTree, Superblock } from "./volumes-to-freeze.ts";

type Seen = Pick<DeviceTree, "mounts" | "numberOf">;

/** Kinds of file systems that the kernel lists while they are mounted, each by the name of its device. */
const LISTED = ["ext4", "xfs", "f2fs"];

const JOURNAL_TASK = "jbd2/";
/** Older kernels cut the names of tasks at this length. */
const CUT_NAME_LENGTH = 15;

/**
 * The mounted file systems of these kinds, and btrfs, wherever they are mounted: also where no process can
 * see them any more, although one still has a file there open.
 */
export async function readSuperblocks({ mounts, numberOf }: Seen): Promise<Superblock[]> {
  const found: Superblock[] = [];
  for (const type of LISTED)
    for (const name of await namesIn(`/sys/fs/${type}`)) {
      const own = await numbersOf([name, ...(await externalJournalOf(type, name))]);
      const paths = mounts
        .filter(({ device }) => device === own[0])
        .flatMap(({ furtherSources = [] }) => furtherSources);
      const further = await Promise.all(paths.map((path) => numberOf(path)));
      const devices = [...new Set([...own, ...further.filter((number) => number !== undefined)])];
      if (devices.length > 0) found.push({ type, devices });
    }
  for (const uuid of await namesIn("/sys/fs/btrfs")) {
    const devices = await numbersOf(await namesIn(join("/sys/fs/btrfs", uuid, "devices")));
    if (devices.length > 0) found.push({ type: "btrfs", devices });
  }
  return found;
}

/** The kernel name of the device that is the journal of an ext4; none if its journal is in itself. */
async function externalJournalOf(type: string, kernelName: string): Promise<string[]> {
  const task = await readFile(join("/sys/fs", type, kernelName, "journal_task"), "utf8").catch(absent);
  const name = task && (await readFile(`/proc/${task.trim()}/comm`, "utf8").catch(absent))?.trim();
  if (!name?.startsWith(JOURNAL_TASK) || name.length === CUT_NAME_LENGTH) return [];
  // A journal in a file has the number of the file behind the device's name.
  const journal = name.slice(JOURNAL_TASK.length);
  return journal.startsWith(`${kernelName}-`) ? [] : [journal];
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
