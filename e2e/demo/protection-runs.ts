import type { Run } from "#shared/protocol/protection.ts";
import { bytes, duration } from "#shared/units.ts";

/** A run that made a point. */
export type CompletedRun = Run & { result: NonNullable<Run["result"]> };

/** The runs that made a point, oldest first. */
export function completedRuns(runs: readonly Run[]): CompletedRun[] {
  return runs
    .filter((run): run is CompletedRun => run.state === "completed" && run.result !== undefined)
    .sort((a, b) => a.dueAt.localeCompare(b.dueAt));
}

/** One run, for a line of progress. */
export function describeOutcome({ state, reason, failure, result }: Run): string {
  if (!result) return `run ${state}: ${reason ?? failure?.message ?? "it made no recovery point"}`;
  const [disk] = result.disks;
  const why = disk?.modeReason === undefined ? "" : ` (${disk.modeReason})`;
  return `point: ${disk?.mode}${why}, read ${bytes(result.bytesRead)}, changed ${bytes(result.changedBytes)}, stored ${bytes(result.bytesStored)}, froze ${Math.round(result.freezeMilliseconds ?? 0)} ms, ${result.consistency}, ${duration(result.seconds)}`;
}

/** Whether every disk was read by the tracker: only what had changed. */
export function isTracked({ result }: CompletedRun): boolean {
  return result.disks.every(({ mode }) => mode === "tracked");
}
