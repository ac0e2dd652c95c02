/**
 * The types of conversion, one row each. The API's schema, the command line's help, preflight, the steps
 * shown, the state machines with their names and rights, and the functions' variables all derive from these
 * rows. No other code names a type.
 */
import * as z from "zod";
import type { AgentSystem } from "./machine.ts";

/** Every step that a conversion may have, in order. */
export const StepName = z.enum([
  "preflight",
  "stage",
  "arm",
  "reboot",
  "boot-environment",
  "capture",
  "commit",
  "return",
  "receipt",
  "materialise",
  "verify",
  "boot-check",
  "finish",
]);
export type StepName = z.infer<typeof StepName>;

/**
 * Groups of preflight rules that some types have; `shared/domain/preflight.ts` lists the rules of each.
 * `unused-disks`: nothing writes to the disks while they are read. `restart`: the machine can start the boot
 * environment once, and comes back.
 */
export type RuleGroup = "unused-disks" | "restart";

interface Row {
  /** The workflow that takes its recovery point: `statemachines/NAME.asl.json`. Types may share one. */
  capture: string;
  /** The system that the source was enrolled from, and runs when the conversion starts. */
  sourceSystem: AgentSystem;
  /** Whether it restarts the source into the boot environment, reads it there, and restarts it again. */
  restartsSource: boolean;
  /** The steps that an operator sees, in order. */
  steps: readonly StepName[];
  /** The groups of preflight rules in addition to the rules for every type. */
  rules: readonly RuleGroup[];
  /** One line for the command line's help; continues "hot: …". */
  summary: string;
}

const COPY_STEPS = [
  "preflight",
  "capture",
  "materialise",
  "verify",
  "boot-check",
  "finish",
] as const satisfies readonly StepName[];

const rows = {
  hot: {
    capture: "hot-capture",
    sourceSystem: "original",
    restartsSource: false,
    steps: COPY_STEPS,
    rules: ["unused-disks"],
    summary: "while the source runs",
  },
  "remote-cold": {
    capture: "remote-cold-capture",
    sourceSystem: "original",
    restartsSource: true,
    steps: StepName.options,
    rules: ["restart"],
    summary: "the source restarts twice and is read in between",
  },
  "manual-cold": {
    // A machine that runs the boot environment is read by the steps that read any other.
    capture: "hot-capture",
    sourceSystem: "boot-environment",
    restartsSource: false,
    steps: COPY_STEPS,
    rules: [],
    summary: "the source was started by hand from a boot image",
  },
} as const satisfies Record<string, Row>;

export type ConversionType = keyof typeof rows;
const names = Object.keys(rows) as [ConversionType, ...ConversionType[]];
export const ConversionType = z.enum(names);

export const conversionTypes: Readonly<Record<ConversionType, Row>> = rows;

/** A workflow that takes recovery points. */
export type CaptureWorkflow = (typeof rows)[ConversionType]["capture"];

/** Each of them once. */
export const captureWorkflows: readonly CaptureWorkflow[] = [
  ...new Set(names.map((type) => rows[type].capture)),
];

/**
 * A workflow: its state machine's definition is `statemachines/NAME.asl.json`. A conversion of any type runs
 * `conversion`, which starts the capture of its type and then `make-clone`. A run of a protection plan is
 * `protection-run`, which starts `hot-capture`. A drill is `drill`, and a recovery `recovery`; both start
 * `make-clone`. A cutover is `synchronized-cutover`, which starts `protection-run`. If files are to be
 * compared, `make-clone` (for a drill), a recovery and a cutover start `prove-clone`. `collect-garbage` and
 * `check-repositories` look after what is stored. `send-webhook` sends one notice of an alarm.
 */
export type WorkflowName =
  | "conversion"
  | CaptureWorkflow
  | "make-clone"
  | "prove-clone"
  | "protection-run"
  | "drill"
  | "recovery"
  | "synchronized-cutover"
  | "collect-garbage"
  | "check-repositories"
  | "send-webhook";

export const workflowNames: readonly WorkflowName[] = [
  "conversion",
  ...captureWorkflows,
  "make-clone",
  "prove-clone",
  "protection-run",
  "drill",
  "recovery",
  "synchronized-cutover",
  "collect-garbage",
  "check-repositories",
  "send-webhook",
];

function namesWhere(fits: (row: Row) => boolean): string {
  return names.filter((type) => fits(conversionTypes[type])).join("|");
}

/** The types as the command line's usage shows a choice, such as `hot|remote-cold`. */
export const typeChoices = {
  all: namesWhere(() => true),
  /** For a source that was enrolled from its own system. */
  ownSystem: namesWhere(({ sourceSystem }) => sourceSystem === "original"),
  /** For a machine that was started by hand from a boot image. */
  startedByHand: namesWhere(({ sourceSystem }) => sourceSystem === "boot-environment"),
  restarting: namesWhere(({ restartsSource }) => restartsSource),
} as const;
