import type { Run } from "#shared/protocol/protection.ts";
import type { CaptureMode } from "#shared/protocol/taken-point.ts";
import { bytes, duration } from "#shared/units.ts";
import type { Step } from "./steps.ts";

/** How many recovery points the demo waits for. Skipped runs do not count. */
export const POINTS = 10;

/** The results of `npm run demo -- --protect`, which `--json FILE` writes. */
export interface ProtectReport {
  ok: boolean;
  points: number;
  /** Runs that made no point, because the run before was not done. */
  skippedRuns: number;
  /** The machine restarted after some of the points, and came back. */
  restarted: boolean;
  /** Rows that the database acknowledged before the freeze of the last point was requested. */
  rowsAcknowledged: number;
  /** Rows in the database of the drilled clone. */
  rowsFound: number;
  /** Of `rowsAcknowledged`, those that the clone has not. */
  rowsMissing: number;
  /** Rows of the clone that were sent after the thaw. */
  rowsTooLate: number;
  /** What all points after the first stored together. */
  deltaBytes: number;
  /** The blocks of 64 KiB that changed between these points, each counted whole. */
  changedBytes: number;
  /** How long writes of the machine's programs waited for a point: the median. */
  freezeMilliseconds: number;
  longestFreezeMilliseconds: number;
  /** The age of what the newest point held, just after it was made. */
  lagSeconds: number;
  /** How the disk was read for the last point. */
  mode: CaptureMode | "unknown";
  /** How many points read the whole disk. */
  hashScans: number;
  consistency: string;
  cloneBooted: boolean;
  seconds: number;
  steps: Step[];
  /** What the drilled clone showed. */
  consoleLog?: string;
  failure?: string;
}

/** What the demo must prove, in the order of the report. */
const PROOFS: readonly [words: string, holds: (report: ProtectReport) => boolean][] = [
  [`at least ${POINTS} recovery points were taken while clients wrote`, ({ points }) => points >= POINTS],
  ["the machine restarted in between, and was protected again", ({ restarted }) => restarted],
  [
    "the last point read only what changed, and has one instant",
    ({ mode, consistency }) => mode === "tracked" && consistency === "file-system",
  ],
  ["its clone boots", ({ cloneBooted }) => cloneBooted],
  [
    "it has every row that was acknowledged before the freeze",
    ({ rowsAcknowledged, rowsMissing }) => rowsAcknowledged > 0 && rowsMissing === 0,
  ],
  [
    "and none that was sent after the thaw",
    ({ rowsFound, rowsTooLate }) => rowsFound > 0 && rowsTooLate === 0,
  ],
];

export function isProved(report: ProtectReport): boolean {
  return report.failure === undefined && PROOFS.every(([, holds]) => holds(report));
}

type CompletedRun = Run & { result: NonNullable<Run["result"]> };

/** The runs that made a point, oldest first. */
export function completedRuns(runs: readonly Run[]): CompletedRun[] {
  return runs
    .filter((run): run is CompletedRun => run.state === "completed" && run.result !== undefined)
    .sort((a, b) => a.dueAt.localeCompare(b.dueAt));
}

/** What the runs of the plan say. */
export function factsOfRuns(runs: readonly Run[]) {
  const completed = completedRuns(runs);
  const later = completed.slice(1).map(({ result }) => result);
  const freezes = completed.map(({ result }) => result.freezeMilliseconds ?? 0).sort((a, b) => a - b);
  const last = completed.at(-1)?.result;
  return {
    points: completed.length,
    skippedRuns: runs.filter(({ state }) => state === "skipped").length,
    deltaBytes: later.reduce((sum, { bytesStored }) => sum + bytesStored, 0),
    changedBytes: later.reduce((sum, { changedBytes }) => sum + changedBytes, 0),
    freezeMilliseconds: Math.round(freezes[Math.floor(freezes.length / 2)] ?? 0),
    longestFreezeMilliseconds: Math.round(freezes.at(-1) ?? 0),
    mode: last?.disks[0]?.mode ?? ("unknown" as const),
    hashScans: completed.filter(({ result }) => result.disks.some(({ mode }) => mode === "hash-scan")).length,
    consistency: last?.consistency ?? "unknown",
  };
}

/** One run, for a line of progress. */
export function describeOutcome({ state, reason, failure, result }: Run): string {
  if (!result) return `run ${state}: ${reason ?? failure?.message ?? "it made no recovery point"}`;
  const [disk] = result.disks;
  const why = disk?.modeReason === undefined ? "" : ` (${disk.modeReason})`;
  return `point: ${disk?.mode}${why}, read ${bytes(result.bytesRead)}, changed ${bytes(result.changedBytes)}, stored ${bytes(result.bytesStored)}, froze ${Math.round(result.freezeMilliseconds ?? 0)} ms, ${result.consistency}, ${duration(result.seconds)}`;
}

/** The report in the operator's words. */
export function describeProtection(report: ProtectReport): string {
  const proofs = PROOFS.map(([words, holds]) => `  ${(holds(report) ? "yes" : "NO").padStart(12)}  ${words}`);
  const { points, skippedRuns, hashScans, deltaBytes, changedBytes, lagSeconds } = report;
  return [
    "",
    `Causeway demo of protection: ${report.ok ? "protected, and the last point boots" : `FAILED: ${report.failure ?? "see below"}`}`,
    ...report.steps.map(({ name, seconds }) => `  ${duration(seconds).padStart(12)}  ${name}`),
    `  ${duration(report.seconds).padStart(12)}  in all`,
    ...proofs,
    `  ${points} points, ${hashScans} of them by reading the whole disk; ${skippedRuns} runs skipped; newest point ${duration(lagSeconds)} old when it was made`,
    `  rows: ${report.rowsAcknowledged} acknowledged before the freeze, ${report.rowsFound} in the clone`,
    `  after the first point: changed ${bytes(changedBytes)}, stored ${bytes(deltaBytes)}`,
    `  freeze: median ${report.freezeMilliseconds} ms, longest ${report.longestFreezeMilliseconds} ms`,
    ...(report.consoleLog ? [`  the clone's console: ${report.consoleLog}`] : []),
  ].join("\n");
}
