import { duration } from "#shared/units.ts";
import { type DemoOutcome, describeDemo, type Proofs, proves } from "./report-lines.ts";
import { ROW_PROOFS, type RowFacts } from "./row-facts.ts";

/** How many recovery points the demo waits for before it cuts the source's power. */
export const RECOVER_POINTS = 3;

/**
 * The results of `npm run demo -- --recover`, which `--json FILE` writes. The rows are of the recovered
 * machine.
 */
export interface RecoverReport extends DemoOutcome, RowFacts {
  /** Recovery points that were taken while the client wrote. */
  points: number;
  /** From the command to the machine's first answer, by the control plane; 0 if there was none. */
  rtoSeconds: number;
  /** Of `rtoSeconds`, from the machine's start to its first answer. */
  startSeconds: number;
  /** How old the content of the recovered point was when the source lost its power. */
  pointAgeSeconds: number;
  /** Rows that were acknowledged and are not in the machine: those after its point. */
  rowsLost: number;
  /** Everything that the operator typed, in this order: the runbook with its placeholders filled in. */
  commands: string[];
  /** What the machine's console showed to the operator. */
  consoleLog?: string;
}

/** What the demo must prove, in the order of the report. */
const PROOFS: Proofs<RecoverReport> = [
  [
    `at least ${RECOVER_POINTS} recovery points were taken while a client wrote`,
    ({ points }) => points >= RECOVER_POINTS,
  ],
  ["the machine of the last one answered, and its source is off", ({ rtoSeconds }) => rtoSeconds > 0],
  ...ROW_PROOFS,
];

export function isRecovered(report: RecoverReport): boolean {
  return proves(report, PROOFS);
}

/** The report in the operator's words. */
export function describeRecovered(report: RecoverReport): string {
  const { rtoSeconds, startSeconds, pointAgeSeconds, points, rowsAcknowledged, rowsFound, rowsLost } = report;
  return [
    ...describeDemo(report, {
      name: "Causeway demo of disaster recovery",
      success: "the last point runs as a machine",
      proofs: PROOFS,
    }),
    `  first answer ${duration(rtoSeconds)} after the command, ${duration(startSeconds)} of it the machine's start`,
    `  ${points} points; what the machine has was ${duration(pointAgeSeconds)} old when the source lost its power`,
    `  rows: ${rowsAcknowledged} acknowledged before the freeze, ${rowsFound} in the machine, ${rowsLost} acknowledged later and lost`,
    ...(report.consoleLog ? [`  the machine's console: ${report.consoleLog}`] : []),
  ].join("\n");
}
