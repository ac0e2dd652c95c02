import type { ViewKind } from "#shared/protocol/taken-point.ts";

/** What decides how a disk can be read. */
export interface ViewFacts {
  name: string;
  isStill: boolean;
  /** Why pre-copy cannot read it; absent if it can. */
  preCopyObstacle?: string | undefined;
}

export interface ViewChoice {
  name: string;
  kind: ViewKind;
  /** In words, for operators. */
  reason: string;
}

/** The best view of each disk, best first: one where nothing can change, pre-copy, then none. */
export function chooseViews(disks: readonly ViewFacts[]): ViewChoice[] {
  return disks.map(({ name, isStill, preCopyObstacle }) => {
    if (isStill) return { name, kind: "still", reason: "nothing writes to it" };
    if (preCopyObstacle === undefined) return { name, kind: "pre-copy", reason: "it is in use" };
    return { name, kind: "inconsistent", reason: `it is in use, and ${preCopyObstacle}` };
  });
}
