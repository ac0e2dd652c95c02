import type { DiskUsage } from "../filesystems/disk-usage.ts";
import type { DiskView, LocalDisk, OpenView } from "./consistent-view.ts";
import { closeAll, onlyOnce, openDisks } from "./open-disks.ts";
import { stillCopyOf } from "./still-copy.ts";

export interface StillDeps {
  /** Finds the free space of a disk that nothing writes to. */
  usage: (disk: LocalDisk) => Promise<DiskUsage>;
}

/** Disks that nothing writes to: they are read as they are, and their free space is left out. */
export function stillView({ usage }: StillDeps): OpenView {
  return async (disks, { allBlocks }) => {
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
          content: "still",
          ...(usageOfDisk ? { used: usageOfDisk.used } : {}),
          copy: stillCopyOf(usageOfDisk),
          changes: { unknown: "no tracker has followed the writes to it" },
        };
      }),
      close: onlyOnce(() => closeAll(sources)),
    };
  };
}
