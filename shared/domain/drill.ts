/** A drill: one test start of a recovery point. Its record and its life cycle. */
import * as z from "zod";
import { type Failure, WrongStateError } from "../errors.ts";
import { commandKinds } from "../protocol/commands.ts";
import { Failure as FailureSchema, Timestamp } from "../protocol/common.ts";
import { BootCheck, Drill, DrillState, type NewDrill } from "../protocol/drill.ts";
import { AgentId, DiskBytes, DiskName, DrillId, PlanId, PointId } from "../protocol/ids.ts";
import { ProofReceipt } from "../protocol/proof.ts";
import type { RecoveryPoint } from "../protocol/resources.ts";
import { plannedAdaptation } from "./adapted-machine.ts";
import type { AgentRecord } from "./agent.ts";
import { BOOT_CHECK_HARDWARE, bootFirmware, bootMemoryMiB } from "./boot-hardware.ts";
import { requireBootable } from "./bootable-point.ts";
import { type CommandRecord, latest } from "./command.ts";
import type { CommandOwner } from "./command-owner.ts";
import { requireRunning } from "./conversion.ts";
import type { Proved } from "./proof-receipt.ts";
import { requireProvable } from "./provable-point.ts";
import { systemDisks } from "./system-disks.ts";
import { cancellableTransitions, isFinal, move } from "./transitions.ts";

export const DrillRecord = z.object({
  id: DrillId,
  pointId: PointId,
  sourceId: AgentId,
  targetId: AgentId,
  /** Of a drill that a plan's schedule began. */
  planId: PlanId.optional(),
  disks: z.array(z.object({ name: DiskName, sizeBytes: DiskBytes })),
  firmware: z.enum(["bios", "uefi"]),
  memoryMiB: z.int(),
  bootTimeoutSeconds: z.int(),
  bootExpect: z.string().optional(),
  /** The source's disks that its firmware could have started. An earlier version recorded none. */
  systemDisks: z.array(DiskName).optional(),
  /** What the command that adapts its system needs, except for the images; absent if it stays as it is. */
  adaptation: commandKinds["adapt-machine"].input.pick({ sourceDisks: true, wanted: true }).optional(),
  /** What the command that hashes files of the source needs besides; absent if none are compared. */
  prove: commandKinds["hash-files"].input.pick({ frozenFrom: true, budgetSeconds: true }).optional(),
  proof: Drill.shape.proof,
  proofReceipt: ProofReceipt.optional(),
  state: DrillState,
  result: BootCheck.optional(),
  /** When the verdict was recorded: before the clone was removed. */
  judgedAt: Timestamp.optional(),
  failure: FailureSchema.optional(),
  /** Why the clone could not be removed, although there is a verdict. */
  cleanUpFailure: FailureSchema.optional(),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
  version: z.int(),
});
export type DrillRecord = z.infer<typeof DrillRecord>;

/**
 * Throws `WrongStateError` if the point was pruned, if it is unknown on which hardware it boots, or if its
 * files are to be compared and cannot be. A drill of a schedule begins nevertheless if it is only that.
 */
export function newDrill(
  request: NewDrill,
  given: {
    id: string;
    point: RecoveryPoint;
    source: AgentRecord;
    requestedBy: string;
    planId?: string | undefined;
    now: string;
  },
): DrillRecord {
  const { id, point, source, requestedBy, planId, now } = given;
  requireBootable(point, source);
  const names = point.disks.map(({ name }) => name);
  const firmware = bootFirmware(source.inventory, names);
  return {
    id,
    pointId: point.id,
    sourceId: point.sourceId,
    targetId: request.targetId,
    planId,
    disks: point.disks.map(({ name, sizeBytes }) => ({ name, sizeBytes })),
    firmware,
    memoryMiB: bootMemoryMiB(source.inventory),
    bootTimeoutSeconds: request.bootTimeoutSeconds,
    bootExpect: request.bootExpect,
    systemDisks: systemDisks(source.inventory, names),
    adaptation: request.adapt ? adaptationFor(firmware, point, source) : undefined,
    prove: proofFor(request, given),
    state: "running",
    requestedBy,
    createdAt: now,
    version: 0,
  };
}

/** Its identity stays: no client can reach it, and it is removed after some minutes. */
function adaptationFor(
  firmware: DrillRecord["firmware"],
  { disks }: RecoveryPoint,
  { inventory }: AgentRecord,
): DrillRecord["adaptation"] {
  const shape = { ...BOOT_CHECK_HARDWARE, firmware };
  return plannedAdaptation(
    { machineId: "kept", hostKeys: "kept", addresses: [], purpose: "drill" },
    { shape, disks, inventory },
  );
}

function proofFor(
  { proveSeconds: budgetSeconds }: NewDrill,
  { point, source, planId }: { point: RecoveryPoint; source: AgentRecord; planId?: string | undefined },
): DrillRecord["prove"] {
  if (budgetSeconds === undefined) return undefined;
  const frozenFrom = planId === undefined ? requireProvable(point, source) : point.frozen?.from;
  return { budgetSeconds, ...(frozenFrom === undefined ? {} : { frozenFrom }) };
}

/** The input of the workflow's execution, from the record alone, so that a repeated start sends the same. */
export function drillInput(drill: DrillRecord) {
  const { id, pointId, sourceId, targetId, disks, firmware, adaptation, prove } = drill;
  const { memoryMiB, bootTimeoutSeconds: timeoutSeconds, bootExpect, systemDisks: system } = drill;
  const expect = bootExpect === undefined ? {} : { expect: bootExpect };
  const bootCheck = {
    enabled: true,
    mustBoot: false,
    memoryMiB,
    timeoutSeconds,
    ...expect,
    ...(system && { systemDisks: system }),
  };
  return {
    ...{ drillId: id, pointId, sourceId, targetId, disks, firmware, bootCheck },
    ...(adaptation === undefined ? {} : { adaptation }),
    ...(prove === undefined ? {} : { prove }),
  };
}

export function drillHasEnded({ state }: DrillRecord): boolean {
  return isFinal(cancellableTransitions, state);
}

/**
 * The drill, being cancelled. Cancelling again changes nothing. Throws `WrongStateError` if it has completed
 * or failed.
 */
export function cancellingDrill(drill: DrillRecord): DrillRecord {
  if (drill.state === "cancelling" || drill.state === "cancelled") return drill;
  return { ...drill, state: moved(drill, "cancelling") };
}

/**
 * The drill with what the comparison of its files found. Repeating it changes nothing: the first proof stays.
 * Throws `DrillCancelledError` if it was cancelled before.
 */
export function provedDrill(drill: DrillRecord, proved: Proved): DrillRecord {
  if (drill.proof) return drill;
  requireRunning(drillAsOwner(drill));
  return { ...drill, ...proved };
}

/**
 * The drill with its verdict. Repeating it changes nothing: the first verdict stays. Throws
 * `DrillCancelledError` if it was cancelled before.
 */
export function judgedDrill(drill: DrillRecord, result: BootCheck, now: string): DrillRecord {
  if (drill.result) return drill;
  requireRunning(drillAsOwner(drill));
  return { ...drill, result, judgedAt: now };
}

/**
 * The drill, completed. Repeating it changes nothing. Throws `DrillCancelledError` if it was cancelled, and
 * `WrongStateError` if it has no verdict.
 */
export function completedDrill(drill: DrillRecord, now: string): DrillRecord {
  if (drill.state === "completed") return drill;
  requireRunning(drillAsOwner(drill));
  if (!drill.result) throw new WrongStateError(`drill ${drill.id} has no verdict`);
  return { ...drill, state: moved(drill, "completed"), endedAt: now };
}

/**
 * The drill, failed, or cancelled if the operator asked for that. One that has a verdict is completed with
 * what went wrong afterwards. One that has ended stays as it is.
 */
export function abandonedDrill(drill: DrillRecord, failure: Failure, now: string): DrillRecord {
  if (drillHasEnded(drill)) return drill;
  if (drill.state === "cancelling") return { ...drill, state: moved(drill, "cancelled"), endedAt: now };
  return drill.result
    ? { ...drill, state: moved(drill, "completed"), cleanUpFailure: failure, endedAt: now }
    : { ...drill, state: moved(drill, "failed"), failure, endedAt: now };
}

export function drillAsOwner(drill: DrillRecord): CommandOwner {
  const { id, sourceId, targetId, requestedBy, state, pointId } = drill;
  return { id, sourceId, targetId, requestedBy, state, pointId };
}

/** The drill as the API shows it. `commands`: of the drill; none in lists. */
export function drillOf(drill: DrillRecord, commands: readonly CommandRecord[] = []): Drill {
  const { id, pointId, sourceId, targetId, planId, state, proof, result, failure, cleanUpFailure } = drill;
  const { requestedBy, createdAt, endedAt } = drill;
  return {
    ...{ id, pointId, sourceId, targetId, planId, state, proof, result, failure, cleanUpFailure },
    ...{ requestedBy, createdAt, endedAt, adaptation: adaptationIn(commands) },
  };
}

function adaptationIn(commands: readonly CommandRecord[]): Drill["adaptation"] {
  const command = latest(commands.filter(({ kind }) => kind === "adapt-machine"));
  return commandKinds["adapt-machine"].output.safeParse(command?.output).data;
}

function moved<S extends DrillState>(drill: DrillRecord, to: S): S {
  return move(cancellableTransitions, `drill ${drill.id}`, drill.state, to);
}
