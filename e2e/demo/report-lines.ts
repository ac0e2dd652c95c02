import { duration } from "#shared/units.ts";
import type { Step } from "./steps.ts";

/** What every demo reports. */
export interface DemoOutcome {
  ok: boolean;
  seconds: number;
  steps: Step[];
  failure?: string;
}

/** What a demo must prove, in the order of its report: in words, and whether a report proves it. */
export type Proofs<Report> = readonly (readonly [words: string, holds: (report: Report) => boolean])[];

/** Nothing failed, and every proof holds. */
export function proves<Report extends DemoOutcome>(report: Report, proofs: Proofs<Report>): boolean {
  return report.failure === undefined && proofs.every(([, holds]) => holds(report));
}

/** The outcome, the steps with their times, and each proof: one line each. `name`: of the demo. */
export function describeDemo<Report extends DemoOutcome>(
  report: Report,
  { name, success, proofs }: { name: string; success: string; proofs: Proofs<Report> },
): string[] {
  const line = (value: string, words: string) => `  ${value.padStart(12)}  ${words}`;
  return [
    "",
    `${name}: ${report.ok ? success : `FAILED: ${report.failure ?? "see below"}`}`,
    ...report.steps.map((step) => line(duration(step.seconds), step.name)),
    line(duration(report.seconds), "in all"),
    ...proofs.map(([words, holds]) => line(holds(report) ? "yes" : "NO", words)),
  ];
}
