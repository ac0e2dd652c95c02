import { bytes, duration } from "#shared/units.ts";
import { type CutoverStateTime, describeStates } from "./cutover-report.ts";
import { type DemoOutcome, describeDemo, type Proofs, proves } from "./report-lines.ts";
import { SERVED_ROWS_PROOFS, type ServedRows } from "./served-rows.ts";

/** The results of `npm run demo -- --cutover --fail health-check`, which `--json FILE` writes. */
export interface RollbackReport extends DemoOutcome, ServedRows {
  /** How the cutover ended. */
  state: string;
  /** Why it was rolled back. */
  reason?: string;
  /** How long the cutover was in each state. */
  states: CutoverStateTime[];
  /** Whether the source acknowledged rows after the rollback. */
  sourceServes: boolean;
  /** Of the first run of the plan after the rollback, which also made the standby equal to its point. */
  nextRun?: { bytesRead: number; diskBytes: number };
}

/** More than this part of the disks would be another baseline. */
const CHANGES_ONLY = 0.1;

/** What the demo must prove, in the order of the report. */
const PROOFS: Proofs<RollbackReport> = [
  ["the machine failed its check, and the cutover was rolled back", ({ state }) => state === "rolled-back"],
  ["the source serves its client again", ({ sourceServes }) => sourceServes],
  ...SERVED_ROWS_PROOFS,
  ["the standby follows the source, and nothing was copied again", isFollowing],
];

function isFollowing({ nextRun }: RollbackReport): boolean {
  return nextRun !== undefined && nextRun.bytesRead < CHANGES_ONLY * nextRun.diskBytes;
}

export function isRolledBack(report: RollbackReport): boolean {
  return proves(report, PROOFS);
}

/** The report in the operator's words. */
export function describeRollback(report: RollbackReport): string {
  const { outageSeconds, nextRun, reason, rowsAcknowledged, rowsFound } = report;
  return [
    ...describeDemo(report, {
      name: "Causeway demo of a cutover that fails",
      success: "the source serves again",
      proofs: PROOFS,
    }),
    `  outage ${duration(outageSeconds)}; rolled back because: ${reason ?? "unknown"}`,
    describeStates(report),
    `  rows: ${rowsAcknowledged} acknowledged, ${rowsFound} in the source`,
    ...(nextRun ? [`  the next run read ${bytes(nextRun.bytesRead)} of ${bytes(nextRun.diskBytes)}`] : []),
  ].join("\n");
}
