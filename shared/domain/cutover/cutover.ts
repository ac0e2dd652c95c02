/** A cutover: a source makes way for a machine in its place. Its record and its life cycle. */
import * as z from "zod";
import {
  CutoverStoppedError,
  type Failure,
  failureOf,
  WindowClosedError,
  WrongStateError,
} from "../../errors.ts";
import { AnswerCheck, combinedCheck } from "../../protocol/answer-check.ts";
import { BootImageReference } from "../../protocol/boot-image.ts";
import { commandKinds } from "../../protocol/commands.ts";
import { Failure as FailureSchema, Timestamp } from "../../protocol/common.ts";
import { Cutover, CutoverState, NewCutover, SyncPhase } from "../../protocol/cutover.ts";
import { DefinedMachine, MachineAnswer } from "../../protocol/defined-machine.ts";
import { AgentId, CutoverId, DiskBytes, DiskName, PlanId, PointId, RunId } from "../../protocol/ids.ts";
import { ProofReceipt } from "../../protocol/proof.ts";
import { Quiesce, usualQuiesce } from "../../protocol/quiesce.ts";
import { RuleName } from "../../protocol/rule-names.ts";
import { secondsBetween } from "../../seconds-between.ts";
import { type CommandRecord, latest } from "../command.ts";
import type { CommandOwner } from "../command-owner.ts";
import { definedDisks, type MachineOwner } from "../machine.ts";
import { isFinal, move, type Transitions } from "../transitions.ts";
import { Attested, isAway, WhereaboutsRecord } from "../whereabouts.ts";
import { failureOfWayBack } from "./way-back.ts";

const cutoverTransitions: Transitions<CutoverState> = {
  baseline: ["waiting", "cancelling", "failed"],
  waiting: ["pre-sync", "cancelling", "failed"],
  "pre-sync": ["quiescing", "rolling-back"],
  quiescing: ["final-sync", "rolling-back"],
  "final-sync": ["checking", "rolling-back"],
  checking: ["committing", "rolling-back"],
  // Back only as long as the lease is not permanent yet.
  committing: ["completed", "failed", "rolling-back"],
  completed: [],
  "rolling-back": ["rolled-back"],
  "rolled-back": [],
  cancelling: ["cancelled"],
  cancelled: [],
  failed: [],
};

const { windows, mode, needsApproval, switchSourceOff, check, expect, script } = NewCutover.shape;
const { marginSeconds, quiesceTimeoutSeconds, answerTimeoutSeconds } = NewCutover.shape;

export const CutoverRecord = z.object({
  id: CutoverId,
  sourceId: AgentId,
  targetId: AgentId,
  planId: PlanId,
  ...{ windows, mode, needsApproval, switchSourceOff, check, expect, script },
  /** Those of `check` that are asked before the commit, while the machine is isolated; absent if none is. */
  isolatedCheck: AnswerCheck.optional(),
  networkChecks: Cutover.shape.networkChecks,
  ...{ marginSeconds, quiesceTimeoutSeconds, answerTimeoutSeconds },
  firmware: z.enum(["bios", "uefi"]),
  disks: z.array(DiskName),
  quiesce: Quiesce.default(usualQuiesce),
  /** What its source is restarted with, if it is: what was checked when the cutover was asked for. */
  restart: z.object({ bootImage: BootImageReference, accept: z.array(RuleName) }).optional(),
  /** Only if its source is restarted. */
  whereabouts: WhereaboutsRecord.optional(),
  attested: Attested.optional(),
  /** The command that defines the machine, except for its point and its images. */
  planned: commandKinds["define-machine"].input.omit({ disks: true, dryRun: true, pointId: true }),
  /** What the command that adapts its system needs besides; absent if it stays as it is. */
  adaptation: commandKinds["adapt-machine"].input.pick({ sourceDisks: true, wanted: true }).optional(),
  proveSeconds: Cutover.shape.proveSeconds,
  proof: Cutover.shape.proof,
  proofReceipt: ProofReceipt.optional(),
  state: CutoverState,
  states: Cutover.shape.states,
  /** How many executions its workflow had. The first one has the cutover's id as its name. */
  executions: z.int().positive().default(1),
  /** Of the workflow's step that waits for a window or for a person. */
  taskToken: z.string().optional(),
  /** What people know as its version, and approve: only an edit raises it, while `version` counts writes. */
  edition: z.int().positive().default(1),
  /** Who asked for it, and all who changed it: another person has to approve it. */
  changedBy: z.array(z.string()),
  approved: Cutover.shape.approved,
  go: Cutover.shape.go,
  heldBack: Cutover.shape.heldBack,
  forecast: Cutover.shape.forecast.default(null),
  /** When it is rolled back unless it has committed; absent until it begins. */
  deadlineAt: Timestamp.optional(),
  /** The runs that it made, and for which turn of which phase. */
  runs: z.array(z.object({ id: RunId, phase: SyncPhase, turn: z.int().positive() })),
  /** The final recovery point. */
  final: z
    .object({ pointId: PointId, disks: z.array(z.object({ name: DiskName, sizeBytes: DiskBytes })) })
    .optional(),
  machine: DefinedMachine.optional(),
  answer: MachineAnswer.optional(),
  outageSeconds: z.number().optional(),
  sourceOff: Cutover.shape.sourceOff,
  sourceServes: Cutover.shape.sourceServes,
  removal: Cutover.shape.removal,
  failure: FailureSchema.optional(),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
  version: z.int(),
});
export type CutoverRecord = z.infer<typeof CutoverRecord>;

/** Whether it has not begun: the source was not touched, except by its protection plan. */
export function isBefore({ state }: CutoverRecord): boolean {
  return state === "baseline" || state === "waiting";
}

/** Whether it has begun, and can still be rolled back. */
export function isUnderWay({ state }: Pick<CutoverRecord, "state">): boolean {
  return ["pre-sync", "quiescing", "final-sync", "checking"].includes(state);
}

export function cutoverHasEnded({ state }: CutoverRecord): boolean {
  return isFinal(cutoverTransitions, state);
}

/** Whether its machine has, or had, the right to run permanently, and the cutover has ended. */
export function endedAfterCommit(cutover: CutoverRecord): boolean {
  const { state } = cutover;
  return state === "completed" || (state === "failed" && hasBeen(cutover, "committing"));
}

/**
 * The cutover, in this state. One that is in it already, or past it, stays as it is: a workflow repeats its
 * steps. Throws what `requireGoing` throws.
 */
export function enteredState(cutover: CutoverRecord, to: CutoverState, now: string): CutoverRecord {
  requireGoing(cutover, now);
  return hasBeen(cutover, to) ? cutover : moved(cutover, to, now);
}

/**
 * Throws the failure's own error if it is being cancelled or rolled back, `WindowClosedError` after the
 * deadline of one that has not committed, and `WrongStateError` if it has ended.
 */
export function requireGoing(cutover: CutoverRecord, now: string): void {
  const { id, state, deadlineAt } = cutover;
  if (state === "cancelling" || state === "rolling-back") throw new CutoverStoppedError(id);
  if (cutoverHasEnded(cutover)) throw new WrongStateError(`cutover ${id} is ${state}`);
  if (isUnderWay(cutover) && deadlineAt !== undefined && now >= deadlineAt)
    throw new WindowClosedError(id, deadlineAt);
}

/** Throws `WrongStateError` once it has begun. */
export function requireBefore(cutover: CutoverRecord): void {
  if (isBefore(cutover)) return;
  throw new WrongStateError(
    `cutover ${cutover.id} is ${cutover.state}, so this is too late`,
    isUnderWay(cutover)
      ? `\`causeway cutover rollback ${cutover.id}\` has the source serve again.`
      : `\`causeway cutover show ${cutover.id}\` says what became of it.`,
  );
}

/**
 * The cutover, ended before it began. Repeating it changes nothing. Throws `WrongStateError` once it has
 * begun.
 */
export function cancellingCutover(cutover: CutoverRecord, by: string, now: string): CutoverRecord {
  const { id, state } = cutover;
  if (state === "cancelling" || state === "cancelled") return cutover;
  requireBefore(cutover);
  return moved({ ...cutover, failure: failureOf(new CutoverStoppedError(id, by)) }, "cancelling", now);
}

/**
 * The cutover, being rolled back by an operator. `mayRun`: whether its machine has the right to run
 * permanently. Throws `WrongStateError` before it began, and after commit.
 */
export function rollingBackCutover(
  cutover: CutoverRecord,
  { by, mayRun, now }: { by: string; mayRun: boolean; now: string },
): CutoverRecord {
  const { id, state } = cutover;
  if (state === "rolling-back" || state === "rolled-back") return cutover;
  const failure = failureOf(new CutoverStoppedError(id, by));
  if (isUnderWay(cutover) || (state === "committing" && !mayRun))
    return stoppedCutover(cutover, { failure, mayRun, now });
  throw new WrongStateError(
    `cutover ${id} is ${state}: there is nothing to roll back`,
    isBefore(cutover)
      ? `\`causeway cutover cancel ${id}\` ends one that has not begun.`
      : hasBeen(cutover, "committing")
        ? "Once its machine has the right to run permanently, only a new cutover or recovery replaces it."
        : "It ended before it touched the source, which serves as before.",
  );
}

/**
 * The cutover after a failure: rolled back if it has begun and not committed, failed otherwise. `mayRun`:
 * whether its machine has the right to run permanently. What was decided before stays. Repeating it changes
 * nothing.
 */
export function stoppedCutover(
  cutover: CutoverRecord,
  { failure, mayRun, now }: { failure: Failure; mayRun: boolean; now: string },
): CutoverRecord {
  const { taskToken: _, ...rest } = cutover;
  if (isUnderWay(cutover) || (cutover.state === "committing" && !mayRun))
    return moved({ ...rest, failure: failureOfWayBack(failure, cutover) }, "rolling-back", now);
  if (isBefore(cutover) || cutover.state === "committing")
    return { ...moved({ ...rest, failure }, "failed", now), endedAt: now };
  return cutover;
}

/** The cutover at its end, after everything was undone. One that has ended stays as it is. */
export function endedCutover(
  cutover: CutoverRecord,
  sourceServes: CutoverRecord["sourceServes"],
  now: string,
): CutoverRecord {
  if (cutover.state === "cancelling") return { ...moved(cutover, "cancelled", now), endedAt: now };
  if (cutover.state !== "rolling-back") return cutover;
  return { ...moved(cutover, "rolled-back", now), sourceServes, endedAt: now };
}

/** The cutover, completed: its machine answers in the source's place. Repeating it changes nothing. */
export function completedCutover(
  cutover: CutoverRecord,
  { machine, answer }: { machine: DefinedMachine; answer: MachineAnswer },
  now: string,
): CutoverRecord {
  if (cutover.state === "completed") return cutover;
  const quiesced = cutover.states.find(({ name }) => name === "quiescing");
  const outageSeconds = quiesced && Math.max(0, secondsBetween(quiesced.at, now));
  return { ...moved(cutover, "completed", now), machine, answer, outageSeconds, endedAt: now };
}

/**
 * Whether the source has said that it shuts down, and has not taken that back; `undefined` if it was not to,
 * or the cutover has not ended after its commit.
 */
export function sourceOffOf(
  cutover: CutoverRecord,
  commands: readonly CommandRecord[],
): Cutover["sourceOff"] {
  if (!cutover.switchSourceOff || !endedAfterCommit(cutover)) return undefined;
  const last = latest(commands.filter(({ kind }) => kind === "switch-off"));
  return last?.state === "succeeded" ? "announced" : "unknown";
}

/** Whether its source was restarted, and is not known to be back and to start as before. */
export function isSourceAway({ whereabouts }: CutoverRecord): boolean {
  return whereabouts !== undefined && isAway(whereabouts);
}

/** The input of the workflow's execution, from the record alone, so that a repeated start sends the same. */
export function cutoverInput(cutover: CutoverRecord) {
  const { id, sourceId, targetId, planId, planned, adaptation, check: checkAfter, switchSourceOff } = cutover;
  const { restart, requestedBy, proveSeconds, disks, isolatedCheck } = cutover;
  return {
    ...{ cutoverId: id, sourceId, targetId, planId, check: checkBeforeCommit(cutover) },
    ...(isolatedCheck === undefined ? {} : { isolatedCheck }),
    ...(checkAfter === undefined ? {} : { checkAfter }),
    ...(switchSourceOff ? { switchSourceOff } : {}),
    ...(restart ? { restart: { ...restart, requestedBy } } : {}),
    planned: { ...planned, dryRun: false },
    ...(adaptation === undefined ? {} : { adaptation }),
    ...(proveSeconds === undefined ? {} : { proveSeconds, disks }),
  };
}

function checkBeforeCommit({ expect: text, script: name }: CutoverRecord): AnswerCheck {
  const console = { kind: "console" as const, ...(text === undefined ? {} : { expect: text }) };
  return combinedCheck(console, name === undefined ? [] : [{ kind: "script", name }]);
}

export function cutoverAsOwner(cutover: CutoverRecord): CommandOwner {
  const { id, sourceId, targetId, requestedBy, state, final, deadlineAt, whereabouts } = cutover;
  const owner = {
    ...{ id, sourceId, targetId, requestedBy, whereabouts, ...(final ? { pointId: final.pointId } : {}) },
    ...(isUnderWay(cutover) ? { deadlineAt } : {}),
  };
  if (state === "rolling-back" || state === "cancelling") return { ...owner, state: "cancelling" };
  if (state === "rolled-back" || state === "cancelled") return { ...owner, state: "cancelled" };
  return { ...owner, state: state === "completed" || state === "failed" ? state : "running" };
}

/**
 * Once it has committed, its machine is switched on and off as any other. Before, only the workflow does.
 * What is left of one that has ended without a commit can only be removed.
 */
export function cutoverAsMachineOwner(
  cutover: CutoverRecord,
  commands: readonly CommandRecord[],
): MachineOwner {
  const { id, sourceId, targetId, disks, firmware, final } = cutover;
  const hasCommitted = endedAfterCommit(cutover);
  return {
    ...{ id, sourceId, targetId, disks, firmware, pointId: final?.pointId ?? "", network: "production" },
    images: hasCommitted ? definedDisks(commands) : undefined,
    isUndone: cutoverHasEnded(cutover) && !hasCommitted,
  };
}

function hasBeen({ states }: CutoverRecord, state: CutoverState): boolean {
  return states.some(({ name }) => name === state);
}

function moved(cutover: CutoverRecord, to: CutoverState, now: string): CutoverRecord {
  const state = move(cutoverTransitions, `cutover ${cutover.id}`, cutover.state, to);
  return { ...cutover, state, states: [...cutover.states, { name: to, at: now }] };
}
