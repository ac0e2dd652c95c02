import {
  type ConversionRecord,
  cancelling,
  hasEnded,
  mayAwaitStartTime,
  workflowInput,
} from "#shared/domain/conversion.ts";
import { openCommands } from "#shared/domain/conversion-view.ts";
import type { Workflows } from "../ports.ts";
import { abandon } from "./abandon.ts";
import { cancelCommands } from "./cancel-commands.ts";
import { type CommandDeps, timestamp } from "./deps.ts";

/**
 * Cancels a conversion in whatever state of its workflow; repeating it is harmless. What waits for an agent
 * is told at once; between two steps, the next one sees the mark. Throws `NotFoundError`, or
 * `WrongStateError` if it has completed or failed.
 */
export async function cancelConversion(
  id: string,
  actor: string,
  deps: CommandDeps & { workflows: Workflows },
): Promise<ConversionRecord> {
  const { store, workflows, clock } = deps;
  // The mark comes before the look at the commands: dispatch does it the other way round, so one of the two
  // sees the other.
  const marked = await store.conversions.modify(id, cancelling);
  if (hasEnded(marked)) return marked;
  await store.audit.add({
    at: timestamp(clock),
    actor,
    action: "conversion-cancel-requested",
    subject: id,
    outcome: "done",
  });
  const { conversion, commands } = await store.conversions.withCommands(id);
  await cancelCommands(openCommands(commands), deps);
  const workflow = workflows[conversion.type];
  // One that waits for its time would see the mark only then. Nothing is armed: no command to do so goes out
  // after the mark.
  const armed = commands.some(({ kind }) => kind === "arm-boot");
  if (mayAwaitStartTime(conversion, clock.now()) && !armed) await workflow.stop(id);
  // Only the workflow ends a conversion. One that a broken-off start left without it gets it now: its first
  // step sees the mark.
  const start = await workflow.start(id, workflowInput(conversion));
  if (start === "started") return conversion;
  if (await workflow.isRunning(id)) return conversion;
  // The workflow was stopped, from outside or just now, or ran into its own limit: nobody else will clean up.
  return abandon(id, { Error: "ConversionCancelledError", Cause: "" }, deps);
}
