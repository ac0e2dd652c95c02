import type { CopyView } from "#shared/format/point.ts";
import type { ConsistentView, LocalDisk } from "./consistent-view.ts";
import { closeAll, onlyOnce, openDisks } from "./open-disks.ts";

const IN_USE = "it was in use while it was read, so what it marks as free cannot be trusted";

/** A copy whose parts are of different times, because of `reason`. */
export function inconsistentCopy(reason: string): CopyView {
  return { consistency: "not", volumes: [], wholeCopies: [{ place: "disk", reason }] };
}

/** Disks in use, read as they are at the time of each read: whole, and marked as not consistent. */
export async function inconsistentView(disks: readonly LocalDisk[]): Promise<ConsistentView> {
  const sources = await openDisks(disks.map(({ path }) => path));
  return {
    freezeMilliseconds: 0,
    disks: sources.map((source, at) => ({
      name: disks[at]?.name ?? "",
      source,
      content: "inconsistent",
      copy: async () => inconsistentCopy(IN_USE),
      changes: { unknown: "no tracker has followed the writes to it" },
    })),
    close: onlyOnce(() => closeAll(sources)),
  };
}
