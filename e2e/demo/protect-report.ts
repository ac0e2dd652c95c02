import type { Run } from "#shared/protocol/protection.ts";
import type { CaptureMode } from "#shared/protocol/taken-point.ts";
import { bytes, duration } from "#shared/units.ts";
import { completedRuns } from "./protection-runs.ts";
import { type DemoOutcome, describeDemo, type Proofs, proves } from "./report-lines.ts";
import { ROW_PROOFS, type RowFacts } from "./row-facts.ts";

/** How many recovery points the demo waits for. Skipped runs do not count. */
export const POINTS = 10;

/**
 * The results of `npm run demo -- --protect`, which `--json FILE` writes. The rows are of the drilled clone.
 */
export interface ProtectReport extends DemoOutcome, RowFacts {
  points: number;
  /** Runs that made no point, because the run before was not done. */
  skippedRuns: number;
  /** The machine restarted after some of the points, and came back. */
  restarted: boolean;
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
  /** What the drilled clone showed. */
  consoleLog?: string;
}

/** What the demo must prove, in the order of the report. */
const PROOFS: Proofs<ProtectReport> = [
  [`at least ${POINTS} recovery points were taken while clients wrote`, ({ points }) => points >= POINTS],
  ["the machine restarted in between, and was protected again", ({ restarted }) => restarted],
  [
    "the last point read only what changed, and has one instant",
    ({ mode, consistency }) => mode === "tracked" && consistency === "file-system",
  ],
  ["its clone boots", ({ cloneBooted }) => cloneBooted],
  ...ROW_PROOFS,
];

export function isProved(report: ProtectReport): boolean {
  return proves(report, PROOFS);
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

/** The report in the operator's words. */
export function describeProtection(report: ProtectReport): string {
  const { points, skippedRuns, hashScans, deltaBytes, changedBytes, lagSeconds } = report;
  return [
    ...describeDemo(report, {
      name: "Causeway demo of protection",
      success: "protected, and the last point boots",
      proofs: PROOFS,
    }),
    `  ${points} points, ${hashScans} of them by reading the whole disk; ${skippedRuns} runs skipped; newest point ${duration(lagSeconds)} old when it was made`,
    `  rows: ${report.rowsAcknowledged} acknowledged before the freeze, ${report.rowsFound} in the clone`,
    `  after the first point: changed ${bytes(changedBytes)}, stored ${bytes(deltaBytes)}`,
    `  freeze: median ${report.freezeMilliseconds} ms, longest ${report.longestFreezeMilliseconds} ms`,
    ...(report.consoleLog ? [`  the clone's console: ${report.consoleLog}`] : []),
  ].join("\n");
}
