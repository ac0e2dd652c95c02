import type { DiskStatus } from "./disk-status.ts";

/**
 * What an agent keeps beside its newest recovery point, to judge the next pass by: the status of the pass
 * that the point was made from, and the sequence that its commit leads to.
 */
export type TrackedBase = Pick<
  DiskStatus,
  | "bootId"
  | "generation"
  | "identity"
  | "bytes"
  | "diskSequence"
  | "sequence"
  | "lost"
  | "passthrough"
  | "beyond"
  | "unseenBytes"
  | "skipped"
>;

/** The base of the next pass, once a recovery point is made from this one and committed. */
export function baseOf(status: DiskStatus): TrackedBase {
  const {
    bootId,
    generation,
    identity,
    bytes,
    diskSequence,
    lost,
    passthrough,
    beyond,
    unseenBytes,
    skipped,
  } = status;
  return {
    bootId,
    generation,
    identity,
    bytes,
    diskSequence,
    sequence: status.sequence + 1,
    lost,
    passthrough,
    beyond,
    unseenBytes,
    skipped,
  };
}

interface Now {
  bootId: string;
  /** What the agent knows the disk by. */
  identity: string;
}

/** A way in which the tracker can have missed a write, and what an operator reads about it. */
type Gap = (base: TrackedBase, status: DiskStatus, now: Now) => string | false;

const GAPS: readonly Gap[] = [
  (base, status, now) =>
    (status.bootId !== now.bootId || base.bootId !== now.bootId) && "the machine was restarted",
  (_, status) => status.bytes === 0 && "the disk is gone",
  (base, status, now) =>
    (base.identity !== now.identity ||
      status.identity !== now.identity ||
      status.diskSequence !== status.attachedDiskSequence ||
      status.diskSequence !== base.diskSequence) &&
    "another disk has its name",
  (base, status) =>
    (status.bytes !== status.attachedBytes || status.bytes !== base.bytes) && "the disk's size changed",
  (base, status) => base.generation !== status.generation && "it was not tracked for a time",
  // The commit before may not have reached the tracker: it then returns more than what changed.
  (base, status) =>
    status.sequence !== base.sequence &&
    status.sequence !== base.sequence - 1 &&
    "the tracker's changes start at another recovery point",
  (base, status) => status.lost > base.lost && "the tracker lost events",
  (base, status) => status.passthrough > base.passthrough && "a program sent commands past the block layer",
  (base, status) => status.beyond > base.beyond && "something wrote beyond the size that was tracked",
  (base, status) =>
    status.unseenBytes > base.unseenBytes && "the kernel counted writes that the tracker did not see",
  (base, status) =>
    skippedBoth(base, status, "issue", "complete") && "the kernel skipped the tracker's programs",
  (base, status) => skippedBoth(base, status, "queue", "end") && "the kernel skipped the tracker's programs",
];

/**
 * Whether both programs that mark the same writes were skipped since then: only then can a write have no
 * mark. A write whose completion was missed keeps its entry among those in flight, which every pass reads.
 */
function skippedBoth(
  base: TrackedBase,
  status: DiskStatus,
  first: keyof DiskStatus["skipped"],
  second: keyof DiskStatus["skipped"],
): boolean {
  return status.skipped[first] > base.skipped[first] && status.skipped[second] > base.skipped[second];
}

/**
 * Why what the tracker found does not tell every change since the recovery point that `base` belongs to, in
 * words; `undefined` if it does. `status` is that of the pass. The agent then reads the whole disk.
 */
export function distrust(base: TrackedBase | undefined, status: DiskStatus, now: Now): string | undefined {
  if (!base) return "it was not tracked when the last recovery point was taken";
  for (const gap of GAPS) {
    const reason = gap(base, status, now);
    if (reason) return reason;
  }
  return undefined;
}
