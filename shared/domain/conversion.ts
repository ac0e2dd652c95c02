/** A conversion: its record and its life cycle. */
import * as z from "zod";
import { cancellationOf, type Failure, WrongStateError } from "../errors.ts";
import type { CapturedDiskRef } from "../protocol/commands.ts";
import { DiskFormat, Failure as FailureSchema, Timestamp } from "../protocol/common.ts";
import { conversionTypes } from "../protocol/conversion-types.ts";
import { AgentId, ConversionId, DiskBytes, DiskName, PointId } from "../protocol/ids.ts";
import type { Inventory } from "../protocol/inventory.ts";
import { whereaboutsInWords } from "../protocol/machine.ts";
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
import { systemDisks } from "./system-disks.ts";
import { cancellableTransitions, isFinal, move } from "./transitions.ts";
import {
  Attested,
  atEnd,
  isAsItWas,
  untouchedWhereabouts,
  WhereaboutsRecord,
  withWhereabouts,
} from "./whereabouts.ts";

/** How long a machine may take to restart, including its firmware's own checks. */
const DEFAULT_DEADLINE_SECONDS = 1800;

export const ConversionRecord = z.object({
  id: ConversionId,
  type: ConversionType,
  sourceId: AgentId,
  targetId: AgentId,
  format: DiskFormat,
  disks: z.array(DiskName),
  /** Whether to copy blocks that file systems mark as free, too. */
  allBlocks: z.boolean().default(false),
  bandwidthLimitBytesPerSecond: z.int().optional(),
  bootCheck: z.object({
    enabled: z.boolean(),
    timeoutSeconds: z.int(),
    expect: z.string().optional(),
    memoryMiB: z.int(),
    /** The source's disks that its firmware could have started. An earlier version recorded none. */
    systemDisks: z.array(DiskName).optional(),
  }),
  firmware: z.enum(["bios", "uefi"]),
  /** When to restart the source; if absent, at once. */
  startAt: Timestamp.optional(),
  deadlineSeconds: z.int().default(DEFAULT_DEADLINE_SECONDS),
  /** The requested image, or the newest one at the start; absent if there was none. */
  bootImageId: z.string().optional(),
  /** Only for types that restart the source. */
  whereabouts: WhereaboutsRecord.optional(),
  /** The last receipt of the source's agent. */
  attested: Attested.optional(),
  /** The id of the recovery point to make. The recovery point exists once `recoveryPointId` is set. */
  pointId: PointId,
  recoveryPointId: PointId.optional(),
  state: ConversionState,
  preflightPassedAt: Timestamp.optional(),
  /** The disks' sizes by the inventory that preflight judged. */
  preflightBytes: z.record(DiskName, DiskBytes).optional(),
  failure: FailureSchema.optional(),
  result: ConversionResult.optional(),
  /** Recorded when the conversion ends, so that later changes to its commands do not change it. */
  steps: z.array(Step).optional(),
  /** Preflight rules that `requestedBy` accepted although they may fail. */
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
      systemDisks: systemDisks(inventory, disks),
    },
    firmware: bootFirmware(inventory, disks),
    deadlineSeconds: request.deadlineSeconds ?? DEFAULT_DEADLINE_SECONDS,
    ...(conversionTypes[request.type].restartsSource
      ? {
          startAt: request.startAt,
          bootImageId: given.bootImageId,
          whereabouts: untouchedWhereabouts(given.now),
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
 * The input of the workflow's execution. It is derived from the record alone, so a repeated start sends the
 * same input.
 */
export function workflowInput(conversion: ConversionRecord) {
  const { id, type, sourceId, targetId, format, disks, allBlocks, bootCheck, firmware, pointId } = conversion;
  const { bandwidthLimitBytesPerSecond, accept } = conversion;
  return {
    conversionId: id,
    capture: conversionTypes[type].capture,
    sourceId,
    targetId,
    format,
    disks,
    allBlocks,
    allowInconsistent: accept.includes("disk-in-use"),
    bootCheck,
    firmware,
    pointId,
    ...(bandwidthLimitBytesPerSecond === undefined ? {} : { bandwidthLimitBytesPerSecond }),
    ...(conversion.whereabouts ? restartInput(conversion) : {}),
  };
}

function restartInput({ startAt, deadlineSeconds, accept, requestedBy }: ConversionRecord) {
  return { deadlineSeconds, accept, requestedBy, ...(startAt === undefined ? {} : { startAt }) };
}

/**
 * Returns the conversion if it is running; every step of the workflow checks this first. Throws
 * `ConversionCancelledError` if it was cancelled, and `WrongStateError` if it has ended.
 */
export function requireRunning<T extends { id: string; state: ConversionState }>(conversion: T): T {
  const { id, state } = conversion;
  if (state === "cancelling" || state === "cancelled") throw cancellationOf(id);
  if (state !== "running") throw new WrongStateError(`conversion ${id} is ${state}`);
  return conversion;
}

export function hasEnded(conversion: ConversionRecord): boolean {
  return isFinal(cancellableTransitions, conversion.state);
}

/**
 * The conversion, being cancelled. Cancelling again changes nothing. Throws `WrongStateError` if the
 * conversion has completed or failed.
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
 * Why captured disks are not those that were to be captured; `undefined` if they are. A source that claims
 * another size than preflight judged could keep the target host reading zeros for days.
 */
export function findCaptureProblem(
  { preflightBytes }: Pick<ConversionRecord, "preflightBytes">,
  wanted: readonly string[],
  captured: readonly Pick<CapturedDiskRef, "name" | "sizeBytes">[],
): string | undefined {
  const names = captured.map(({ name }) => name);
  if (names.join() !== wanted.join())
    return `asked for ${wanted.join(", ")}, the source captured ${names.join(", ")}`;
  // A conversion that an earlier version started has no sizes.
  if (preflightBytes === undefined) return undefined;
  const wrong = captured.find(({ name, sizeBytes }) => sizeBytes !== preflightBytes[name]);
  if (!wrong) return undefined;
  const expected = preflightBytes[wrong.name] ?? "no such disk";
  return `${wrong.name} was captured with ${wrong.sizeBytes} bytes; preflight saw ${expected}`;
}

export function pointRecorded(conversion: ConversionRecord): ConversionRecord {
  return { ...conversion, recoveryPointId: conversion.pointId };
}

/**
 * The conversion, completed. Repeating it changes nothing. Throws `ConversionCancelledError` if the operator
 * has cancelled it.
 */
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

/** Whether the workflow may still be waiting for the requested restart time. */
export function mayAwaitStartTime({ startAt }: ConversionRecord, nowMs: number): boolean {
  return startAt !== undefined && Date.parse(startAt) > nowMs;
}

/**
 * The conversion, failed, or cancelled if the operator asked for that. An ended conversion stays as it is.
 * `lastHeardAt` is the time of the source agent's last contact: since then, the machine's location is
 * unknown.
 */
export function abandoned(
  conversion: ConversionRecord,
  end: { failure: Failure; steps: Step[]; now: string; lastHeardAt?: string | undefined },
): ConversionRecord {
  if (hasEnded(conversion)) return conversion;
  const { failure, steps, now, lastHeardAt = now } = end;
  const ended = {
    ...withWhereabouts(conversion, (whereabouts) => atEnd(whereabouts, lastHeardAt)),
    steps,
    endedAt: now,
  };
  return conversion.state === "cancelling"
    ? { ...ended, state: moved(conversion, "cancelled") }
    : { ...ended, state: moved(conversion, "failed"), failure: failureWithWhereabouts(failure, ended) };
}

/**
 * The failure also says where the machine is and whether it is confirmed to be as it was, because its own
 * hint does not know that.
 */
function failureWithWhereabouts(failure: Failure, { id, whereabouts }: ConversionRecord): Failure {
  if (!whereabouts) return failure;
  const text = whereaboutsInWords(whereabouts);
  return {
    ...failure,
    message: `${failure.message}; the source is ${text}`,
    hint: isAsItWas(whereabouts)
      ? failure.hint
      : `${failure.hint} It is not confirmed that the source is as it was: \`causeway receipt ${id}\` shows what its agent found, if it has reported. docs/operations.md says what to do.`,
    details: { ...failure.details, whereabouts: text },
  };
}

function moved<S extends ConversionState>(conversion: ConversionRecord, to: S): S {
  return move(cancellableTransitions, `conversion ${conversion.id}`, conversion.state, to);
}
