import type { Repository } from "../repository/repository.ts";
import { Comparison } from "./compare.ts";
import { type ListedFiles, readFileList } from "./file-list.ts";
import { FILES_AT_ONCE, type SeenFile } from "./messages.ts";
import { type ProvedClone, ProvingGuestSide } from "./proving-guest-side.ts";

/**
 * Compares the files of a list with what the kernel of a guest reads on a clone's disks, of which only
 * throw-away overlays are changed. Returns also the id of the boot image of that kernel. Throws what
 * `readFileList` and `ProvingGuestSide` throw.
 */
export async function compareClone(
  options: ProvedClone,
  { repository, list }: { repository: Repository; list: string },
): Promise<{ result: Comparison["result"]; bootImageId: string }> {
  const parts = await readFileList(repository, list);
  return ProvingGuestSide.during(options, async (guest, bootImageId) => ({
    ...{ result: await compareParts(parts, guest), bootImageId },
  }));
}

/** `guest`: which file systems it has opened, and what it reads. */
export async function compareParts(
  parts: readonly ListedFiles[],
  guest: {
    open(): Promise<Map<string, string | undefined>>;
    read(fileSystem: string, paths: readonly string[]): Promise<SeenFile[]>;
  },
): Promise<Comparison["result"]> {
  const comparison = new Comparison();
  const opened = await guest.open();
  for (const { fileSystem, files } of parts) {
    const problem = opened.has(fileSystem)
      ? opened.get(fileSystem)
      : "no volume of the clone's disks that can be opened has this UUID";
    if (problem !== undefined) {
      comparison.leaveOut(fileSystem, files.length, problem);
      continue;
    }
    for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
      const asked = files.slice(at, at + FILES_AT_ONCE);
      const paths = asked.map(({ path }) => path);
      const seen = await guest.read(fileSystem, paths);
      for (const [index, file] of asked.entries())
        comparison.add(fileSystem, file, seen[index] ?? { problem: "unreadable" });
    }
  }
  return comparison.result;
}
