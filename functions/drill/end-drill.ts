/** How a drill ends that cannot continue. */
import { type CommandRecord, isOpen } from "#shared/domain/command.ts";
import {
  abandonedDrill,
  cancellingDrill,
  type DrillRecord,
  drillHasEnded,
  drillInput,
} from "#shared/domain/drill.ts";
import { type WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { cancellationOf, failureOf } from "#shared/errors.ts";
import { awaitEnd } from "../conversion/await-end.ts";
import { cancelCommands } from "../conversion/cancel-commands.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { order } from "../conversion/order.ts";
import type { Workflow } from "../ports.ts";

/**
 * Ends a drill that cannot continue, as failed or (if the operator asked) as cancelled. If it has a verdict,
 * it is completed, with the failure as that of the clean-up. The target host gets the command to remove the
 * clone; no workflow waits for it, so a host that is away does it when it connects.
 * The end is written last, so after an interruption the next try does all parts again.
 */
export async function abandonDrill(
  drillId: string,
  error: WorkflowError,
  deps: CommandDeps,
): Promise<DrillRecord> {
  const { drills, audit } = deps.store;
  const { record: drill, commands } = await drills.withCommands(drillId);
  if (!drillHasEnded(drill)) {
    await cancelCommands(
      commands.filter((command) => isOpen(command) && command.kind !== "release"),
      deps,
    );
    await orderRelease(drill, commands, deps);
  }
  const failure = workflowFailure(error);
  const ended = await drills.modify(drillId, (one) => abandonedDrill(one, failure, timestamp(deps.clock)));
  const { pointId, cleanUpFailure, failure: ownFailure = cleanUpFailure } = ended;
  if ((ended.state === "completed" && !cleanUpFailure) || !ended.endedAt) return ended;
  await audit.addOnce({
    at: ended.endedAt,
    actor: "causeway",
    action: cleanUpFailure ? "drill-clean-up-failed" : `drill-${ended.state}`,
    subject: drillId,
    outcome: "done",
    details: ownFailure ? { pointId, failure: ownFailure.name, message: ownFailure.message } : { pointId },
  });
  return ended;
}

/** A target host that never got a command has nothing to remove. */
async function orderRelease(
  { id, targetId, requestedBy }: DrillRecord,
  commands: readonly CommandRecord[],
  deps: CommandDeps,
): Promise<void> {
  if (commands.length === 0) return;
  await order(
    { ownerId: id, agentId: targetId, kind: "release", round: 1, input: { ownerId: id }, requestedBy },
    commands,
    deps,
  );
}

/**
 * Cancels a drill in any state of its workflow; repeating it is harmless. Throws `NotFoundError`, or
 * `WrongStateError` if it has completed or failed.
 */
export async function stopDrill(
  id: string,
  actor: string,
  deps: CommandDeps & { workflow: Pick<Workflow, "start" | "isRunning"> },
): Promise<DrillRecord> {
  const { store, workflow, clock, steps } = deps;
  // Mark the drill, then read its commands. Dispatch writes the command, then reads the mark. So one of the
  // two sees the other.
  const marked = await store.drills.modify(id, cancellingDrill);
  if (drillHasEnded(marked)) return marked;
  await store.audit.add({
    at: timestamp(clock),
    actor,
    action: "drill-cancel-requested",
    subject: id,
    outcome: "done",
  });
  const { record: drill, commands } = await store.drills.withCommands(id);
  const open = commands.filter(isOpen);
  await cancelCommands(
    open.filter(({ kind }) => kind !== "release"),
    deps,
  );
  // The clone is removed nevertheless; only the workflow no longer waits for that.
  for (const { kind, taskToken } of open)
    if (kind === "release" && taskToken) await steps.fail(taskToken, failureOf(cancellationOf(id)));
  const abandon = () => abandonDrill(id, { Error: "DrillCancelledError", Cause: "" }, deps);
  return awaitEnd(drill, drillInput(drill), { workflow, abandon });
}
