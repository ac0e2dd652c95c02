import type { CopyView, PointVolume } from "#shared/format/point.ts";
import { type Consistency, leastConsistency } from "#shared/protocol/copied-disk.ts";
import type { FreezeState } from "../../tracking/disk-status.ts";
import { inconsistentCopy } from "../inconsistent.ts";
import { MOST_VOLUMES } from "../message-room.ts";

/** A volume on a disk, and what the freeze made of it. */
export interface SettledVolume {
  name: string;
  /** `swap` for swap space, the program that writes to a raw volume, or the type of the file system. */
  type: string;
  state: FreezeState | "left-out" | "raw" | "hidden" | "read-only" | "in-part";
  /** The system's message, if its freeze failed. */
  error?: string | undefined;
  /** What is wrong with its file system, in words. */
  fault?: string | undefined;
}

/**
 * How the copy of a disk ended: at one instant, for which hooks had prepared the applications or not; or why
 * it has none.
 */
export type Settlement = { volumes: readonly SettledVolume[]; isPrepared: boolean } | { failure: string };

/**
 * What a recovery point says of a disk that was copied while it was in use. Each volume whose file system was
 * frozen, or did not change because it is read-only, is `application` consistent if hooks had prepared the
 * applications, else `file-system` consistent. Another one is as after a power failure, and so is one of
 * which the point has only a part, or in which the kernel has found errors.
 */
export function liveCopyOf(settlement: Settlement): CopyView {
  if ("failure" in settlement) return inconsistentCopy(settlement.failure);
  const frozen: Consistency = settlement.isPrepared ? "application" : "file-system";
  const volumes: PointVolume[] = settlement.volumes.map(({ name, state, fault }) => ({
    name,
    consistency: isWhole(state) && fault === undefined ? frozen : "crash",
  }));
  const copied = volumes.filter((_, at) => settlement.volumes[at]?.state !== "left-out");
  const consistency =
    copied.length > 0 ? leastConsistency(copied.map((volume) => volume.consistency)) : "crash";
  return { consistency, volumes: volumes.slice(0, MOST_VOLUMES), wholeCopies: [] };
}

/** Images of programs (snap's) are mounted read-only, and their file system has no freeze. */
export function isWhole(state: SettledVolume["state"]): boolean {
  return state === "frozen" || state === "read-only";
}

const WORDS: Record<SettledVolume["state"], string> = {
  frozen: "was frozen",
  "read-only": "is read-only",
  "left-out": "is swap space: only its header is copied",
  raw: "is written to without a file system, which a freeze does not stop",
  "in-part": "is on further disks that this recovery point lacks",
  hidden: "is mounted where the agent cannot see it, so it was not frozen",
  unsupported: "cannot be frozen",
  busy: "was frozen by another program",
  "not-tried": "was not frozen",
  freezing: "was not frozen",
  failed: "could not be frozen",
  "at-work": "was not frozen, which would have waited for its scrub or balance",
};

/** Which volumes are not of the best consistency, and why; `undefined` if all are. */
export function remarkOn(settlement: Settlement): string | undefined {
  if ("failure" in settlement) return settlement.failure;
  const remarks = settlement.volumes.flatMap(({ name, type, state, error, fault }) => {
    const words = error === undefined ? WORDS[state] : `${WORDS[state]} (${error})`;
    const all = [...(isWhole(state) ? [] : [words]), ...(fault === undefined ? [] : [fault])];
    return all.length > 0 ? [`${name} (${type}) ${all.join(", and ")}`] : [];
  });
  return remarks.length > 0 ? remarks.join("; ") : undefined;
}
