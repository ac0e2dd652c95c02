/**
 * Cutovers: a source makes way for a machine on a target host, inside a window, with a way back until commit.
 */
import * as z from "zod";
import { AnswerCheck, CheckScriptName, MOST_CHECKS } from "./answer-check.ts";
import { DiskFormat, Failure, Progress, Timestamp } from "./common.ts";
import { CutoverForecast, OutagePart } from "./cutover-forecast.ts";
import { CutoverWindows } from "./cutover-window.ts";
import { DefinedMachine, MachineAnswer } from "./defined-machine.ts";
import { ListedService } from "./fence.ts";
import { AgentId, CutoverId, PlanId, PointId, ResourceId, RunId } from "./ids.ts";
import { Whereabouts } from "./machine.ts";
import { MachineDesign } from "./machine-routes.ts";
import { NewAddresses, SystemAddress } from "./new-address.ts";
import { Proof, ProofBudget } from "./proof.ts";
import { Plan } from "./protection.ts";
import { Quiesce, usualQuiesce } from "./quiesce.ts";
import { AcceptedRules } from "./rule-names.ts";
import { identityChoice, SystemIdentity } from "./wanted-machine.ts";
import { STANDBY_FORMAT, WrittenDisk } from "./written-disk.ts";

/**
 * `automatic`: it begins when a window opens, if its forecast rests on measurements. `hold`: it begins once a
 * person says go while a window is open.
 */
const CutoverMode = z.enum(["automatic", "hold"]);

/** What an operator may change until the cutover begins. */
const editable = {
  windows: CutoverWindows,
  mode: CutoverMode,
  /** How long before the window closes a cutover that has not committed is rolled back. */
  marginSeconds: z.int().min(90).max(7200),
  /** How long the source may take to stop its services. */
  quiesceTimeoutSeconds: z.int().min(10).max(3600),
  /** How long the machine may take from its start to its first answer. */
  answerTimeoutSeconds: z.int().min(10).max(7200),
};

export const NewCutover = z.strictObject({
  sourceId: ResourceId,
  /** The target host that makes and runs the machine. It has the standby of the source's protection plan. */
  targetId: ResourceId,
  windows: editable.windows,
  mode: editable.mode.default("hold"),
  /** Whether a second person must approve it before it begins. */
  needsApproval: z.boolean().default(false),
  quiesce: Quiesce.default(usualQuiesce),
  /** Rules of a restarted source's preflight that are accepted although they may fail. */
  accept: AcceptedRules.default([]),
  /**
   * Whether the source shuts down once the machine has the right to run, before its network is connected. Its
   * addresses are then the machine's alone. There is no way back by then. One that is in its boot environment
   * does so in any case.
   */
  switchSourceOff: z.boolean().default(false),
  machine: MachineDesign,
  /** Of its disks. They are clones of the standby, so another one is refused. */
  format: DiskFormat.default(STANDBY_FORMAT),
  /** Whether its system is adapted to the machine before that starts. The target host needs a boot image. */
  adapt: z.boolean().default(false),
  /** What is new needs an adapted system. */
  ...identityChoice,
  /** What interfaces of its system get in place of their addresses; needs an adapted system. */
  addresses: NewAddresses.default([]),
  /**
   * For how many seconds files of the source are read, to compare them with a clone before the cutover can
   * begin; not at all if absent. A difference ends the cutover. A source that restarts into its boot
   * environment is read again there, for as long, and compared with the final recovery point in the outage.
   */
  proveSeconds: ProofBudget.optional(),
  /** The text on the machine's console that proves it up; a login prompt if absent. */
  expect: z.string().min(1).max(200).optional(),
  /** The check script of the target host that must succeed after that, before the machine has its network. */
  script: CheckScriptName.optional(),
  /** What must also answer once the machine's network is connected. */
  check: AnswerCheck.optional(),
  /**
   * Whether it must also answer before the commit, while the machine is isolated, as far as it can be asked
   * then. What needs other machines for its answer cannot.
   */
  asksIsolated: z.boolean().default(true),
  marginSeconds: editable.marginSeconds.default(120),
  quiesceTimeoutSeconds: editable.quiesceTimeoutSeconds.default(300),
  answerTimeoutSeconds: editable.answerTimeoutSeconds.default(900),
});
export type NewCutover = z.infer<typeof NewCutover>;

export const EditCutover = z
  .strictObject(editable)
  .partial()
  .refine((edit) => Object.values(edit).some((value) => value !== undefined), "nothing to change");
export type EditCutover = z.infer<typeof EditCutover>;

/**
 * `checking`: the target host makes the machine, starts it apart from every network, and waits for its
 * answer. `committing`: the machine has the right to run permanently, and gets its network.
 */
export const CutoverState = z.enum([
  "baseline",
  "waiting",
  "pre-sync",
  "quiescing",
  "final-sync",
  "checking",
  "committing",
  "completed",
  "rolling-back",
  "rolled-back",
  "cancelling",
  "cancelled",
  "failed",
]);
export type CutoverState = z.infer<typeof CutoverState>;

/** Why the cutover makes a run of the protection plan. */
export const SyncPhase = z.enum(["baseline", "pre-sync", "final-sync"]);
export type SyncPhase = z.infer<typeof SyncPhase>;

/** One of the checks of the network, and whether it is also asked before the commit. */
export const NetworkCheck = z.object({
  /** What is asked: an address with its port, or a URL. */
  check: z.string(),
  /** `by-name`: if its name leads to the machine. */
  beforeCommit: z.enum(["yes", "by-name", "no"]),
  /** Why it is asked only after the commit, or may be. */
  why: z.string().optional(),
});
export type NetworkCheck = z.infer<typeof NetworkCheck>;

const By = z.object({ by: z.string(), at: Timestamp });

/** The version that the person who approves it has read. */
export const ApproveCutover = z.strictObject({ version: z.int().positive() });

export const Cutover = z.object({
  id: CutoverId,
  /** 1, and one more with each edit. An approval is for one of them. */
  version: z.int().positive(),
  sourceId: AgentId,
  targetId: AgentId,
  planId: PlanId,
  state: CutoverState,
  mode: CutoverMode,
  windows: CutoverWindows,
  /** The hours that are open or open next; `null` if none are left. */
  window: z.object({ opensAt: Timestamp, closesAt: Timestamp }).nullable(),
  /** When it is rolled back unless it has committed; `null` before it has begun. */
  deadlineAt: Timestamp.nullable(),
  needsApproval: z.boolean(),
  approved: By.optional(),
  /** Who said go in the hours that are open. */
  go: By.optional(),
  /** Why it did not begin although it was to; absent once it has begun. */
  heldBack: z.object({ at: Timestamp, why: z.string() }).optional(),
  /** As of `at`: of now until it begins, and then of the moment in which it began. */
  forecast: CutoverForecast.extend({ at: Timestamp }).nullable(),
  /** Once it has begun: how long each part of the outage took that is over, in order; absent in lists. */
  outageParts: z.array(z.object({ part: OutagePart, seconds: z.number().nonnegative() })).optional(),
  /** What the adaptation did in the outage; absent in lists, until then, and if none was asked for. */
  adapted: z
    .object({
      /** Of files. */
      changes: z.int().nonnegative(),
      /** What was not as it was when the changes were computed before the window. */
      stale: z.array(z.string()),
      /** 0 if it was not computed again. */
      computeSeconds: z.number().nonnegative(),
      applySeconds: z.number().nonnegative(),
    })
    .optional(),
  /**
   * What an operator has to look after in the adapted system: as it was adapted last, or as that was computed
   * on a clone until then. Absent in lists, and if none.
   */
  notes: z.array(z.string()).optional(),
  /**
   * Until it begins: what is known of the services that the source's agent is to stop; absent in lists, and
   * if nothing is known.
   */
  fencedUnits: z.array(ListedService).max(256).optional(),
  /**
   * Until it begins: how often its protection plan copies what has changed, and when it does next; `null` if
   * the plan is paused. Absent in lists, and if the plan was deleted.
   */
  syncs: Plan.pick({ intervalSeconds: true, cron: true, timeZone: true, nextRunAt: true }).optional(),
  /**
   * Until it begins: bridges of its machine that the target host did not have when its agent connected;
   * absent in lists, and if there are none.
   */
  missingBridges: z.array(z.string()).optional(),
  /**
   * What must answer once the machine's network is connected; absent in lists, and if there is nothing of the
   * kind.
   */
  networkChecks: z.array(NetworkCheck).max(MOST_CHECKS).optional(),
  /** For how many seconds files of the source are read each time; absent if none are compared. */
  proveSeconds: ProofBudget.optional(),
  /** What the last comparison of files found; the first one is made before the cutover can begin. */
  proof: Proof.optional(),
  /**
   * What was tried on a clone before the window: whether the target host can define the machine, and what
   * the adaptation changes. Absent in lists, and if no clone was made.
   */
  rehearsal: z
    .object({
      state: z.enum(["running", "done", "failed"]),
      /** Whether the target host said that it can define the machine; absent if it was not asked. */
      isDefinable: z.literal(true).optional(),
      /** Of files; absent if no adaptation was asked for. */
      changes: z.int().nonnegative().optional(),
      failure: Failure.optional(),
    })
    .optional(),
  /**
   * From the order to stop the source's services to the machine's answer on its network; `null` until then.
   */
  outageSeconds: z.number().nonnegative().nullable(),
  runs: z.array(z.object({ id: RunId, phase: SyncPhase })),
  /**
   * How far the run of its state is with reading the source (`capture`) or making the standby equal to the
   * point (`apply`), as the agent has last reported; absent in lists, and while neither is reported.
   */
  copying: z.object({ part: z.enum(["capture", "apply"]), progress: Progress }).optional(),
  /** When it came into each state so far. */
  states: z.array(z.object({ name: CutoverState, at: Timestamp })),
  pointId: PointId.optional(),
  machine: DefinedMachine.optional(),
  /** Of the machine, as they were made; absent in lists, and until it has ended after its commit. */
  disks: z.array(WrittenDisk).optional(),
  answer: MachineAnswer.optional(),
  quiesce: Quiesce,
  /** Of a source that was restarted: where it was last known to be. */
  whereabouts: Whereabouts.optional(),
  switchSourceOff: z.boolean(),
  /** Of its machine's adapted system; absent if that stays as it is. */
  identity: SystemIdentity.optional(),
  /** That its machine's adapted system gets in place of its source's; absent if all stay. */
  addresses: z.array(SystemAddress).optional(),
  /**
   * Once it has ended after its commit, if the source was to shut down: whether its agent has announced that
   * it does, and has not taken that back.
   */
  sourceOff: z.enum(["announced", "unknown"]).optional(),
  /** After a rollback: whether the source's agent has said that its services may run again. */
  sourceServes: z.enum(["yes", "unknown"]).optional(),
  /**
   * Once it has ended without a commit: whether the target host has removed what it made there. `asked`: the
   * host has not answered yet; `failed`: it could not, for this reason. Absent if it never got a command.
   */
  removal: z.object({ state: z.enum(["asked", "failed", "done"]), failure: Failure.optional() }).optional(),
  failure: Failure.optional(),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
});
export type Cutover = z.infer<typeof Cutover>;
