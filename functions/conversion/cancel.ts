import {
  type ConversionRecord,
  cancelling,
  hasEnded,
  mayAwaitStartTime,
  workflowInput,
} from "#shared/domain/conversion.ts";
import { openCommands } from "#shared/domain/conversion-view.ts";
import { reportSourceAway } from "../alarm/source-away.ts";
import type { Workflow } from "../ports.ts";
import { type AbandonDeps, abandon } from "./abandon.ts";
import { awaitEnd } from "./await-end.ts";
import { cancelCommands } from "./cancel-commands.ts";
import { timestamp } from "./deps.ts";

/**
 * Cancels a conversion in any state of its workflow; repeating it is harmless. A step that waits for an agent
 * fails at once; between two steps, the next step sees the mark. Throws `NotFoundError`, or `WrongStateError`
 * if the conversion has completed or failed.
 */
export async function cancelConversion(
  id: string,
  actor: string,
  deps: AbandonDeps & { workflow: Workflow },
): Promise<ConversionRecord> {
  const { store, workflow, clock } = deps;
  // Mark the conversion, then read its commands. Dispatch writes the command, then reads the mark. So one of
  // the two sees the other.
  const marked = await store.conversions.modify(id, cancelling);
  if (hasEnded(marked)) {
    // An earlier call may have been interrupted before the alarm.
    await reportSourceAway(id, deps);
    return marked;
  }
  await store.audit.add({
    at: timestamp(clock),
    actor,
    action: "conversion-cancel-requested",
    subject: id,
    outcome: "done",
  });
  const { record: conversion, commands } = await store.conversions.withCommands(id);
  await cancelCommands(openCommands(commands), deps);
  // A workflow that waits for the start time would see the mark only then. Nothing is armed, and after the
  // mark no command to arm is sent.
  const armed = commands.some(({ kind }) => kind === "arm-boot");
  if (mayAwaitStartTime(conversion, clock.now()) && !armed) await workflow.stop(id);
  return awaitEnd(conversion, workflowInput(conversion), {
    workflow,
    abandon: () => abandon(id, { Error: "ConversionCancelledError", Cause: "" }, deps),
  });
}
