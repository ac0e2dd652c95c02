/** What follows a run of the protection plan that a cutover made. */
import { CutoverSyncError } from "../../errors.ts";
import type { SyncPhase } from "../../protocol/cutover.ts";
import type { RunRecord } from "../protection/run.ts";

/** A final sync of this much takes no time worth another round. */
const SMALL_BYTES = 64 * 2 ** 20;
/** A delta that shrinks by less than this does not get smaller by waiting. */
const SHRINKS = 0.8;
const MOST_PRE_SYNCS = 5;
const AGAIN_AFTER_FAILURE_SECONDS = 900;

export type AfterRun = { next: "done" } | { next: "again"; waitSeconds: number };

/**
 * `runs`: of this phase, oldest first, each ended. Throws `CutoverSyncError` if the standby is not at the
 * last one's point, and the phase does not try again.
 */
export function afterRun(phase: SyncPhase, runs: readonly RunRecord[]): AfterRun {
  const last = runs.at(-1);
  const problem = last ? problemOf(last) : "there was no run";
  // The next turn looks whether the standby is at a point.
  if (phase === "baseline")
    return { next: "again", waitSeconds: problem === undefined ? 0 : AGAIN_AFTER_FAILURE_SECONDS };
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

/** Why the standby is not at the run's point; `undefined` if it is. */
function problemOf({ state, failure, reason, result }: RunRecord): string | undefined {
  if (state !== "completed") return failure?.message ?? reason ?? `it is ${state}`;
  const { standby } = result ?? {};
  if (standby?.state === "applied") return undefined;
  return standby?.state === "behind" ? standby.failure.message : "it has no standby";
}
