import type { Conversion, StepName } from "#shared/protocol/resources.ts";
import { bytes } from "#shared/units.ts";
import { type DemoOutcome, describeDemo, type Proofs, proves } from "./report-lines.ts";
import type { Step } from "./steps.ts";

export type Firmware = "bios" | "uefi";

/** The results of `npm run demo`, which `--json FILE` writes. Seconds are by this machine's clock. */
export interface ColdCloneReport extends DemoOutcome {
  firmware: Firmware;
  /** The clone equals, byte for byte, the disk as it was while it was read. */
  bytesEqual: boolean;
  /** The clone reached its login prompt. */
  cloneBooted: boolean;
  /** The source runs its original system again. */
  sourceBack: boolean;
  /**
   * Its boot state is unchanged, according to its signed receipt and to a look at its disk and firmware from
   * outside.
   */
  bootStateEqual: boolean;
  diskBytes: number;
  bytesRead: number;
  bytesStored: number;
  limitingStage: string;
  /** A screenshot of the source while the boot environment read the disk. */
  sourceScreenshot?: string;
  /** A screenshot of the clone after it had started. */
  screenshot?: string;
  consoleLog?: string;
}

/** What the demo must prove, in the order of the report. */
const PROOFS: Proofs<ColdCloneReport> = [
  ["the source is back in its original system", ({ sourceBack }) => sourceBack],
  [
    "its boot state is what it was, by its signed receipt and by its files",
    ({ bootStateEqual }) => bootStateEqual,
  ],
  ["every byte of the clone is the disk's as it was read", ({ bytesEqual }) => bytesEqual],
  ["the clone boots", ({ cloneBooted }) => cloneBooted],
];

export function succeeded(report: ColdCloneReport): boolean {
  return proves(report, PROOFS);
}

/**
 * The five stages of a remote cold clone and those on the target host, each with the conversion's steps that
 * it consists of.
 */
const STAGES: readonly [string, readonly StepName[]][] = [
  ["1. send the boot image, arm the boot loader for one start", ["stage", "arm"]],
  ["2. restart the source into it", ["reboot"]],
  ["3. boot environment: network up, boot state restored, contact", ["boot-environment"]],
  ["4. convert: capture, commit the recovery point", ["capture", "commit"]],
  ["5. restart into the original system, receipt", ["return", "receipt"]],
  ["write and verify the clone on the target host", ["materialise", "verify"]],
  ["boot the clone", ["boot-check"]],
];

/** How long each stage took, from the start of its first step to the end of its last. */
export function stagesOf({ steps }: Pick<Conversion, "steps">): Step[] {
  return STAGES.flatMap(([name, parts]) => {
    const times = steps.filter((step) => parts.includes(step.name) && step.startedAt && step.endedAt);
    if (times.length === 0) return [];
    const start = Math.min(...times.map(({ startedAt }) => Date.parse(startedAt ?? "")));
    const end = Math.max(...times.map(({ endedAt }) => Date.parse(endedAt ?? "")));
    return [{ name, seconds: (end - start) / 1000 }];
  });
}

/** The report in the operator's words. */
export function describeColdClone(report: ColdCloneReport): string {
  const pictures: [string, string | undefined][] = [
    ["the source while it was read", report.sourceScreenshot],
    ["the clone when it was up", report.screenshot],
    ["the clone's console", report.consoleLog],
  ];
  const name = `Causeway demo (${report.firmware})`;
  return [
    ...describeDemo(report, { name, success: "cloned, and the source is back", proofs: PROOFS }),
    `  disk ${bytes(report.diskBytes)}, read ${bytes(report.bytesRead)}, stored ${bytes(report.bytesStored)}, limited by ${report.limitingStage}`,
    ...pictures.flatMap(([words, path]) => (path ? [`  ${words}: ${path}`] : [])),
  ].join("\n");
}
