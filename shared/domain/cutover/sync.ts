/** What follows a run of the protection plan that a cutover made. */
import { isDeepStrictEqual } from "node:util";
import { CutoverSyncError, WrongStateError } from "../../errors.ts";
import type { SyncPhase } from "../../protocol/cutover.ts";
import type { RunResult } from "../../protocol/protection.ts";
import type { RunRecord } from "../protection/run.ts";
import type { CutoverRecord } from "./cutover.ts";

/** A final sync of this much takes no time worth another round. */
const SMALL_BYTES = 64 * 2 ** 20;
/** A delta that shrinks by less than this does not get smaller by waiting. */
const SHRINKS = 0.8;
const MOST_PRE_SYNCS = 5;
/** Longer each time: the workflow's history has room for a limited number of turns. */
const AGAIN_AFTER_FAILURE_SECONDS = 900;
const LONGEST_WAIT_SECONDS = 14_400;

export type AfterRun = { next: "done" } | { next: "again"; waitSeconds: number };

/**
 * `runs`: of this phase, oldest first, each ended. Throws `CutoverSyncError` if the standby is not at the
 * last one's point, or that point is no good copy, and the phase does not try again.
 */
export function afterRun(phase: SyncPhase, runs: readonly RunRecord[]): AfterRun {
  const last = runs.at(-1);
  const problem = last ? (problemOf(last) ?? doubtOf(phase, last)) : "there was no run";
  // The next turn looks whether the standby is at a point.
  if (phase === "baseline")
    return {
      next: "again",
      waitSeconds:
        problem === undefined
          ? 0
          : Math.min(LONGEST_WAIT_SECONDS, AGAIN_AFTER_FAILURE_SECONDS * Math.max(1, runs.length)),
    };
  if (phase === "pre-sync" && runs.length < MOST_PRE_SYNCS && !(problem === undefined && isSettled(runs)))
    return { next: "again", waitSeconds: 0 };
  if (problem === undefined) return { next: "done" };
  throw new CutoverSyncError(last?.id ?? "", problem);
}

/** Whether another round would not make the final sync shorter. */
function isSettled(runs: readonly RunRecord[]): boolean {
  const [before, last] = runs.slice(-2).length === 2 ? runs.slice(-2) : [undefined, runs.at(-1)];
  const bytes = last?.result?.changedBytes ?? 0;
  return (
    bytes <= SMALL_BYTES || bytes >= SHRINKS * (before?.result?.changedBytes ?? Number.POSITIVE_INFINITY)
  );
}

/** Throws `WrongStateError` unless a copy is of the disks that the machine is to have. */
export function requireDisks({ id, disks }: CutoverRecord, copied: readonly { name: string }[]): void {
  const names = copied.map(({ name }) => name);
  if (isDeepStrictEqual(names.toSorted(), disks.toSorted())) return;
  throw new WrongStateError(
    `the machine of cutover ${id} is to have the disks ${disks.join(", ")}, and the copy has ${names.join(", ")}`,
    "The protection plan or the source has changed since. Create another cutover; the standby is kept.",
  );
}

/**
 * Why the run's point is not what the source had, so no machine is to replace the source with it. Before the
 * source is quiet, only what its quiet would not change.
 */
function doubtOf(phase: SyncPhase, { result }: RunRecord): string | undefined {
  if (!result || phase === "baseline") return undefined;
  if (result.badRanges > 0) return `${result.badRanges} areas of the source could not be read`;
  const isFinal = phase === "final-sync";
  const doubtful = result.disks?.find(({ consistency, view }) =>
    isFinal ? consistency === "not" : view === "inconsistent",
  );
  return doubtful && `the copy of ${doubtful.name} is not consistent${reasonFor(doubtful)}`;
}

function reasonFor({ trackerDisagreements, viewReason }: RunResult["disks"][number]): string {
  if (trackerDisagreements > 0) return ", because its tracker was wrong";
  return viewReason === undefined ? "" : ` (${viewReason})`;
}

/** Why the standby is not at the run's point; `undefined` if it is. */
function problemOf({ state, failure, reason, result }: RunRecord): string | undefined {
  if (state !== "completed") return failure?.message ?? reason ?? `it is ${state}`;
  const { standby } = result ?? {};
  if (standby?.state === "applied") return undefined;
  return standby?.state === "behind" ? standby.failure.message : "it has no standby";
}
