import type { ViewKind } from "#shared/protocol/taken-point.ts";

/** What decides how a disk can be read. */
export interface ViewFacts {
  name: string;
  isStill: boolean;
  /** Why pre-copy cannot read it; absent if it can. */
  preCopyObstacle?: string | undefined;
  /**
   * Why LVM snapshots cannot show it; absent if they can. Matters only if pre-copy cannot read every disk.
   */
  snapshotObstacle?: string | undefined;
}

export interface ViewChoice {
  name: string;
  kind: ViewKind;
  /** In words, for operators. */
  reason: string;
}

/**
 * The best view of each disk, best first: one where nothing can change, pre-copy, LVM snapshots, then none.
 * Disks in use are never read partly by pre-copy and partly through snapshots, which would show two
 * instants: if pre-copy cannot read all of them, but snapshots can, they are read through snapshots.
 */
export function chooseViews(disks: readonly ViewFacts[]): ViewChoice[] {
  const used = disks.filter(({ isStill }) => !isStill);
  const canAll = (obstacle: "preCopyObstacle" | "snapshotObstacle") =>
    used.every((disk) => disk[obstacle] === undefined);
  const canAny = used.some(({ preCopyObstacle }) => preCopyObstacle === undefined);
  const isBySnapshots = !canAll("preCopyObstacle") && (canAll("snapshotObstacle") || !canAny);
  return disks.map(({ name, isStill, preCopyObstacle, snapshotObstacle }): ViewChoice => {
    if (isStill) return { name, kind: "still", reason: "nothing writes to it" };
    if (isBySnapshots && snapshotObstacle === undefined) {
      const why = preCopyObstacle ?? "another disk cannot be read by pre-copy";
      return { name, kind: "lvm-snapshot", reason: `it is in use, and ${why}` };
    }
    if (preCopyObstacle === undefined) return { name, kind: "pre-copy", reason: "it is in use" };
    const others = snapshotObstacle ?? "a snapshot would show another instant than that of the other disks";
    return { name, kind: "inconsistent", reason: `it is in use; ${preCopyObstacle}; ${others}` };
  });
}
