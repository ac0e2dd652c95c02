import type { CopyView } from "#shared/format/point.ts";
import type { ConsistentView, LocalDisk } from "./consistent-view.ts";
import { closeAll, onlyOnce, openDisks } from "./open-disks.ts";

const COPY: CopyView = {
  consistency: "not",
  volumes: [],
  wholeCopies: [
    {
      place: "disk",
      reason: "it was in use while it was read, so what it marks as free cannot be trusted",
    },
  ],
};

/** Disks in use, read as they are at the time of each read: whole, and marked as not consistent. */
export async function inconsistentView(disks: readonly LocalDisk[]): Promise<ConsistentView> {
  const sources = await openDisks(disks.map(({ path }) => path));
  return {
    freezeMilliseconds: 0,
    disks: sources.map((source, at) => ({
      name: disks[at]?.name ?? "",
      source,
      content: "inconsistent",
      copy: COPY,
      changes: { unknown: "no tracker has followed the writes to it" },
    })),
    close: onlyOnce(() => closeAll(sources)),
  };
}
