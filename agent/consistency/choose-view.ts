import type { ViewKind } from "#shared/protocol/taken-point.ts";

/** What decides how a disk can be read. */
export interface ViewFacts {
  name: string;
  isStill: boolean;
}

export interface ViewChoice {
  name: string;
  kind: ViewKind;
  /** In words, for operators. */
  reason: string;
}

/** The best view of each disk, best first: one where nothing can change, then none. */
export function chooseViews(disks: readonly ViewFacts[]): ViewChoice[] {
  return disks.map(({ name, isStill }) =>
    isStill
      ? { name, kind: "still", reason: "nothing writes to it" }
      : {
          name,
          kind: "inconsistent",
          reason: "it is in use, and this agent has no consistent view of a disk in use",
        },
  );
}
