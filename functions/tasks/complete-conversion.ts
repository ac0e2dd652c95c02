import * as z from "zod";
import { released } from "#shared/domain/agent.ts";
import { completed } from "#shared/domain/conversion.ts";
import { completedSteps } from "#shared/domain/conversion-view.ts";
import { systemDisks } from "#shared/domain/system-disks.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import { ConversionId } from "#shared/protocol/ids.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import type { ConversionResult, Step } from "#shared/protocol/resources.ts";
import { DiskOfPoint, FreezeShown } from "#shared/protocol/taken-point.ts";
import { secondsBetween } from "#shared/seconds-between.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { buildStore } from "../store/build.ts";
import type { StoreDeps } from "../store/deps.ts";

export const Input = z.object({
  conversionId: ConversionId,
  /** As the recovery point has them. */
  disks: z.array(DiskOfPoint).min(1),
  freeze: FreezeShown.default({}),
  materialised: commandKinds.materialise.output,
  verified: commandKinds.verify.output,
  bootCheck: commandKinds["boot-check"].output.optional(),
});

export const handler = taskHandler({
  name: "tasks/complete-conversion",
  input: Input,
  build: buildStore,
  run,
});

/**
 * Completes a conversion with its result and frees the source. Repeating it changes nothing. Throws
 * `ConversionCancelledError` if the conversion was cancelled.
 */
export async function run(
  input: z.output<typeof Input>,
  { store, clock }: StoreDeps,
): Promise<{ state: "completed" }> {
  const { conversionId } = input;
  const { record: conversion, commands } = await store.conversions.withCommands(conversionId);
  const now = timestamp(clock);
  const steps = completedSteps(conversion, commands, now);
  const { inventory } = await store.agents.get(conversion.sourceId);
  const result = {
    ...resultOf(input, steps),
    ...bootDiskOf(inventory, conversion.disks),
    ...input.freeze,
  };
  const ended = await store.conversions.modify(conversionId, (current) =>
    completed(current, { result, steps, now }),
  );
  await store.agents.modify(ended.sourceId, (source) => released(source, conversionId));
  await store.audit.addOnce({
    at: ended.endedAt ?? now,
    actor: "causeway",
    action: "conversion-completed",
    subject: conversionId,
    outcome: "done",
    details: { bytesRead: result.bytesRead, bootVerdict: result.bootCheck?.verdict ?? "not asked" },
  });
  return { state: "completed" };
}

function bootDiskOf(inventory: Inventory | undefined, disks: readonly string[]): { bootDisk?: string } {
  const [bootDisk, ...copies] = disks.length === 1 ? disks : systemDisks(inventory, disks);
  return bootDisk === undefined || copies.length > 0 ? {} : { bootDisk };
}

function resultOf(
  { disks, materialised, verified, bootCheck }: z.output<typeof Input>,
  steps: readonly Step[],
): ConversionResult {
  const sum = (field: "bytesRead" | "bytesStored" | "badRanges") =>
    disks.reduce((total, disk) => total + disk[field], 0);
  const slowest = disks.reduce((worst, disk) => (disk.seconds > worst.seconds ? disk : worst));
  return {
    disks: materialised.disks,
    copies: disks.map(({ name, consistency, wholeCopies }) => ({ name, consistency, wholeCopies })),
    bytesRead: sum("bytesRead"),
    bytesStored: sum("bytesStored"),
    bytesWritten: materialised.bytesWritten,
    bytesVerified: verified.bytesVerified,
    badRanges: sum("badRanges"),
    captureSeconds: secondsOf(steps.find((step) => step.name === "capture")) ?? slowest.seconds,
    limitingStage: slowest.bottleneck,
    ...(bootCheck ? { bootCheck } : {}),
  };
}

/** By wall-clock time, because disks are captured in parallel and repeated work takes time, too. */
function secondsOf(step: Step | undefined): number | undefined {
  if (!step?.startedAt || !step.endedAt) return undefined;
  return secondsBetween(step.startedAt, step.endedAt);
}
