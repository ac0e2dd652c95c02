import type { DiskUsage } from "../filesystems/disk-usage.ts";
import type { DiskView, LocalDisk, OpenView } from "./consistent-view.ts";
import { contentMark } from "./content-mark.ts";
import { inconsistentCopy } from "./inconsistent.ts";
import { closeAll, onlyOnce, openDisks } from "./open-disks.ts";
import { stillCopyOf } from "./still-copy.ts";

export interface StillDeps {
  /** Finds the free space of a disk that nothing writes to. */
  usage: (disk: LocalDisk) => Promise<DiskUsage>;
}

const WRITTEN = "something wrote to it while it was read as a disk that nothing writes to";

/**
 * Disks that nothing writes to: they are read as they are, and their free space is left out. If something
 * wrote to one of them nevertheless, its copy is not consistent.
 */
export function stillView({ usage }: StillDeps): OpenView {
  return async (disks, { allBlocks }) => {
    // Before the free space is looked for, which must be that of the content that is read.
    const marks = await Promise.all(disks.map(({ path }) => contentMark(path)));
    const found: (DiskUsage | undefined)[] = [];
    for (const disk of disks) found.push(allBlocks ? undefined : await usage(disk));
    const sources = await openDisks(disks.map(({ path }) => path));
    return {
      freezeMilliseconds: 0,
      disks: sources.map((source, at): DiskView => {
        const usageOfDisk = found[at];
        return {
          name: disks[at]?.name ?? "",
          source,
          content: marks[at] ?? "",
          ...(usageOfDisk ? { used: usageOfDisk.used } : {}),
          copy: async () =>
            isSame(marks[at], await contentMark(disks[at]?.path ?? ""))
              ? stillCopyOf(usageOfDisk)
              : inconsistentCopy(WRITTEN),
          changes: { unknown: "no tracker has followed the writes to it" },
        };
      }),
      close: onlyOnce(() => closeAll(sources)),
    };
  };
}

/** A device that does not count its writes was, as far as can be seen, not written to. */
function isSame(before: string | undefined, after: string): boolean {
  return before === after || after.startsWith("unknown ");
}
