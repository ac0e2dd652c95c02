import type { CopyView, PointVolume } from "#shared/format/point.ts";
import { type Consistency, leastConsistency, type WholeCopy } from "#shared/protocol/copied-disk.ts";
import { MOST_VOLUMES, MOST_WHOLE_COPIES } from "../message-room.ts";

/** A volume on a disk, and how it was read. */
export interface ViewedVolume {
  /** `group/root`, `partition 2`. */
  name: string;
  /**
   * `snapshot`: of a mounted file system that LVM froze. `part-snapshot`: of one that has bytes on disks that
   * the view does not have. `raw-snapshot`: of any other content. `partition`: of a file system outside of
   * LVM, read directly. `swap`: only its header was copied.
   */
  kind: "snapshot" | "part-snapshot" | "raw-snapshot" | "partition" | "swap";
  /** Volumes with the same number show one instant; that of most volumes is 1. */
  instant: number;
  /** What is wrong with its file system, in words. */
  fault?: string | undefined;
}

/** How the copy of a disk ended. */
export interface SnapshotCopy {
  volumes: readonly ViewedVolume[];
  /** Whether the volumes of the view, on all of its disks, show one instant. */
  isOneInstant: boolean;
  /** Whether hooks had prepared the applications. */
  isPrepared: boolean;
  /** What was read directly and changed meanwhile, in words. */
  changed: readonly string[];
  wholeCopies: readonly WholeCopy[];
}

/**
 * What a recovery point says of a disk that was read through snapshots. A volume whose file system was
 * frozen is `application` or `file-system` consistent at its own instant. The disk as a whole is not, if
 * its volumes are of several instants, or if something changed that no snapshot held.
 */
export function snapshotCopyOf({
  volumes,
  isOneInstant,
  isPrepared,
  changed,
  wholeCopies,
}: SnapshotCopy): CopyView {
  const frozen: Consistency = isPrepared ? "application" : "file-system";
  const copies = volumes.map(({ name, kind, instant, fault }): PointVolume => {
    const consistency = kind === "snapshot" && fault === undefined ? frozen : "crash";
    return { name, consistency, ...(isOneInstant ? {} : { instant }) };
  });
  const counted = copies.filter((_, at) => volumes[at]?.kind !== "swap").map((one) => one.consistency);
  const isWhole = changed.length === 0 && volumes.every(({ instant }) => instant === 1);
  return {
    consistency: !isWhole ? "not" : counted.length > 0 ? leastConsistency(counted) : "crash",
    volumes: copies.slice(0, MOST_VOLUMES),
    wholeCopies: wholeCopies.slice(0, MOST_WHOLE_COPIES),
  };
}

/** Which volumes are not as good as they could be, and why; `undefined` if all are. */
export function remarkOnSnapshots({ volumes, changed }: SnapshotCopy): string | undefined {
  const alone = volumes.filter(({ instant }) => instant !== 1).map(({ name }) => name);
  const others = volumes.flatMap(({ name, kind }) => {
    if (kind === "part-snapshot") return [`${name} is on further disks that this recovery point lacks`];
    if (kind === "raw-snapshot") return [`${name} was not frozen`];
    return kind === "partition" ? [`${name} is outside of LVM`] : [];
  });
  const remarks = [
    ...(alone.length > 0 ? [`of another instant: ${alone.join(", ")}`] : []),
    ...changed,
    ...others,
    ...volumes.flatMap(({ name, fault }) => (fault === undefined ? [] : [`${name} ${fault}`])),
  ];
  return remarks.length > 0 ? remarks.join("; ") : undefined;
}
