/** A conversion: what is stored of it, and its life cycle. */
import { z } from "zod";
import { ConversionCancelledError, type Failure, WrongStateError } from "../errors.ts";
import { BootReceipt } from "../protocol/boot-receipt.ts";
import type { CapturedDiskRef } from "../protocol/commands.ts";
import { DiskFormat, Failure as FailureSchema, Timestamp } from "../protocol/common.ts";
import { conversionTypes } from "../protocol/conversion-types.ts";
import { AgentId, ConversionId, DiskBytes, DiskName, PointId } from "../protocol/ids.ts";
import type { Inventory } from "../protocol/inventory.ts";
import { machineInWords } from "../protocol/machine.ts";
import {
  ConversionResult,
  ConversionState,
  ConversionType,
  type NewConversion,
  Step,
} from "../protocol/resources.ts";
import { RuleName } from "../protocol/rule-names.ts";
import type { AgentRecord } from "./agent.ts";
import { bootFirmware, bootMemoryMiB } from "./boot-hardware.ts";
import { atEnd, isAsItWas, MachineRecord, untouchedMachine } from "./source-machine.ts";
import { isFinal, move, type Transitions } from "./transitions.ts";

export const conversionTransitions: Transitions<ConversionState> = {
  running: ["completed", "failed", "cancelling"],
  // Once the operator was told that it is being cancelled, no other end may surprise them.
  cancelling: ["cancelled"],
  completed: [],
  failed: [],
  cancelled: [],
};

/** How long a machine may take to restart, with whatever its firmware does in the meantime. */
const DEFAULT_DEADLINE_SECONDS = 1800;

export const ConversionRecord = z.object({
  id: ConversionId,
  type: ConversionType,
  sourceId: AgentId,
  targetId: AgentId,
  format: DiskFormat,
  disks: z.array(DiskName),
  /** Also what file systems mark as free. */
  allBlocks: z.boolean().default(false),
  bandwidthLimitBytesPerSecond: z.int().optional(),
  bootCheck: z.object({
    enabled: z.boolean(),
    timeoutSeconds: z.int(),
    expect: z.string().optional(),
    memoryMiB: z.int(),
  }),
  firmware: z.enum(["bios", "uefi"]),
  /** When the source is to be restarted; absent: at once. */
  startAt: Timestamp.optional(),
  deadlineSeconds: z.int().default(DEFAULT_DEADLINE_SECONDS),
  /** What was asked for, or the newest at the start; absent: there was none. */
  bootImageId: z.string().optional(),
  /** Types that restart the source. */
  machine: MachineRecord.optional(),
  /** What the source's agent attested last. */
  attested: z.object({ receipt: BootReceipt, receivedAt: Timestamp }).optional(),
  /** The recovery point to be made; it exists once `recoveryPointId` says so. */
  pointId: PointId,
  recoveryPointId: PointId.optional(),
  state: ConversionState,
  preflightPassedAt: Timestamp.optional(),
  /** The disks' sizes by the inventory that preflight judged. */
  preflightBytes: z.record(DiskName, DiskBytes).optional(),
  failure: FailureSchema.optional(),
  result: ConversionResult.optional(),
  /** Frozen when the conversion ends: what happens to its commands afterwards is not part of it. */
  steps: z.array(Step).optional(),
  /** Rules of preflight that `requestedBy` accepted not to hold. */
  accept: z.array(RuleName).default([]),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
  version: z.int(),
});
export type ConversionRecord = z.infer<typeof ConversionRecord>;

export function newConversion(
  request: NewConversion,
  given: {
    id: string;
    pointId: string;
    source: AgentRecord;
    bootImageId?: string | undefined;
    requestedBy: string;
    now: string;
  },
): ConversionRecord {
  const inventory = given.source.inventory;
  const disks = request.disks ?? inventory?.disks.map((disk) => disk.name) ?? [];
  return {
    id: given.id,
    type: request.type,
    sourceId: request.sourceId,
    targetId: request.targetId,
    format: request.format,
    disks,
    allBlocks: request.allBlocks,
    bandwidthLimitBytesPerSecond: request.bandwidthLimitBytesPerSecond,
    bootCheck: {
      enabled: request.bootCheck,
      timeoutSeconds: request.bootTimeoutSeconds,
      expect: request.bootExpect,
      memoryMiB: bootMemoryMiB(inventory),
    },
    firmware: bootFirmware(inventory, disks),
    deadlineSeconds: request.deadlineSeconds ?? DEFAULT_DEADLINE_SECONDS,
    ...(conversionTypes[request.type].restartsSource
      ? {
          startAt: request.startAt,
          bootImageId: given.bootImageId,
          machine: untouchedMachine(given.now),
        }
      : {}),
    pointId: given.pointId,
    state: "running",
    accept: request.accept,
    requestedBy: given.requestedBy,
    createdAt: given.now,
    version: 0,
  };
}

/**
 * The input of the workflow's execution; derived from the record alone, so a repeated start sends the very
 * same.
 */
export function workflowInput(conversion: ConversionRecord) {
  const { id, type, sourceId, targetId, format, disks, allBlocks, bootCheck, firmware, pointId } = conversion;
  const { bandwidthLimitBytesPerSecond } = conversion;
  return {
    conversionId: id,
    type,
    sourceId,
    targetId,
    format,
    disks,
    allBlocks,
    bootCheck,
    firmware,
    pointId,
    ...(bandwidthLimitBytesPerSecond === undefined ? {} : { bandwidthLimitBytesPerSecond }),
    ...(conversion.machine ? restartInput(conversion) : {}),
  };
}

function restartInput({ startAt, deadlineSeconds, accept, requestedBy }: ConversionRecord) {
  return { deadlineSeconds, accept, requestedBy, ...(startAt === undefined ? {} : { startAt }) };
}

/**
 * Every step of the workflow begins with this. Throws `ConversionCancelledError`, or `WrongStateError` once
 * it has ended.
 */
export function requireRunning(conversion: ConversionRecord): ConversionRecord {
  const { id, state } = conversion;
  if (state === "cancelling" || state === "cancelled") throw new ConversionCancelledError(id);
  if (state !== "running") throw new WrongStateError(`conversion ${id} is ${state}`);
  return conversion;
}

export function hasEnded(conversion: ConversionRecord): boolean {
  return isFinal(conversionTransitions, conversion.state);
}

/**
 * On its way to `cancelled`. Cancelling again changes nothing; a completed or failed conversion throws
 * `WrongStateError`.
 */
export function cancelling(conversion: ConversionRecord): ConversionRecord {
  if (conversion.state === "cancelling" || conversion.state === "cancelled") return conversion;
  return { ...conversion, state: moved(conversion, "cancelling") };
}

/** `inventory`: what preflight judged, of the source. Repeating it changes nothing. */
export function preflightPassed(
  conversion: ConversionRecord,
  { now, inventory }: { now: string; inventory: Pick<Inventory, "disks"> | undefined },
): ConversionRecord {
  if (conversion.preflightPassedAt) return conversion;
  const disks = inventory?.disks.filter(({ name }) => conversion.disks.includes(name)) ?? [];
  return {
    ...requireRunning(conversion),
    preflightPassedAt: now,
    preflightBytes: Object.fromEntries(disks.map(({ name, sizeBytes }) => [name, sizeBytes])),
  };
}

/**
 * Why a captured disk is not the one that was to be captured; `undefined` if it is. A source that claims
 * another size than preflight judged could keep the target host reading zeros for days.
 */
export function findCaptureProblem(
  { preflightBytes }: ConversionRecord,
  wanted: string | undefined,
  { name, sizeBytes }: Pick<CapturedDiskRef, "name" | "sizeBytes">,
): string | undefined {
  if (name !== wanted) return `asked for ${wanted}, the source captured ${name}`;
  const expected = preflightBytes?.[name];
  // A conversion that an earlier version started has no sizes.
  if (preflightBytes === undefined || sizeBytes === expected) return undefined;
  return `${name} was captured with ${sizeBytes} bytes; preflight saw ${expected ?? "no such disk"}`;
}

export function pointRecorded(conversion: ConversionRecord): ConversionRecord {
  return { ...conversion, recoveryPointId: conversion.pointId };
}

/** Completed; repeating it changes nothing. Throws `ConversionCancelledError` if the operator was faster. */
export function completed(
  conversion: ConversionRecord,
  end: { result: ConversionResult; steps: Step[]; now: string },
): ConversionRecord {
  if (conversion.state === "completed") return conversion;
  const { result, steps, now } = end;
  return {
    ...requireRunning(conversion),
    state: moved(conversion, "completed"),
    result,
    steps,
    endedAt: now,
  };
}

/** Whether the workflow may be waiting for the time at which the source is to be restarted. */
export function waitsForItsTime({ startAt }: ConversionRecord, nowMs: number): boolean {
  return startAt !== undefined && Date.parse(startAt) > nowMs;
}

/** With something learned of its machine; the same object if that is nothing new. */
export function withMachine(
  conversion: ConversionRecord,
  learn: (machine: MachineRecord) => MachineRecord,
): ConversionRecord {
  if (!conversion.machine) return conversion;
  const machine = learn(conversion.machine);
  return machine === conversion.machine ? conversion : { ...conversion, machine };
}

/**
 * Failed, or cancelled if that was asked; an ended conversion stays as it is. `lastHeardAt`: of the source's
 * agent, to say since when nobody knows where its machine is.
 */
export function abandoned(
  conversion: ConversionRecord,
  end: { failure: Failure; steps: Step[]; now: string; lastHeardAt?: string | undefined },
): ConversionRecord {
  if (hasEnded(conversion)) return conversion;
  const { failure, steps, now, lastHeardAt = now } = end;
  const ended = {
    ...withMachine(conversion, (machine) => atEnd(machine, lastHeardAt)),
    steps,
    endedAt: now,
  };
  return conversion.state === "cancelling"
    ? { ...ended, state: moved(conversion, "cancelled") }
    : { ...ended, state: moved(conversion, "failed"), failure: withWhereabouts(failure, ended) };
}

/**
 * Whoever reads why it failed must also read where the machine is, and that it is not proven to be as it was,
 * whatever the failure's own hint promises.
 */
function withWhereabouts(failure: Failure, { id, machine }: ConversionRecord): Failure {
  if (!machine) return failure;
  const machineIs = machineInWords(machine);
  return {
    ...failure,
    message: `${failure.message}; the source is ${machineIs}`,
    hint: isAsItWas(machine)
      ? failure.hint
      : `${failure.hint} That the source is as it was is not confirmed: \`causeway receipt ${id}\` shows what its agent found, if it was heard; docs/operations.md says what to do.`,
    details: { ...failure.details, machineIs },
  };
}

function moved<S extends ConversionState>(conversion: ConversionRecord, to: S): S {
  return move(conversionTransitions, `conversion ${conversion.id}`, conversion.state, to);
}
