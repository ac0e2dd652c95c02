/** How a recovery ends that cannot continue. */
import { type CommandRecord, isOpen } from "#shared/domain/command.ts";
import { definingCommand } from "#shared/domain/machine.ts";
import {
  abandonedRecovery,
  cancellingRecovery,
  type RecoveryRecord,
  recoveryHasEnded,
  recoveryInput,
} from "#shared/domain/recovery.ts";
import { type WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { awaitEnd } from "../conversion/await-end.ts";
import { cancelCommands } from "../conversion/cancel-commands.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { order } from "../conversion/order.ts";
import type { Workflow } from "../ports.ts";
import { endLease } from "./end-lease.ts";

/**
 * Ends a recovery that cannot continue, as failed or (if the operator asked) as cancelled. A machine that may
 * be defined stays with its disks, for the operator to look at, start again or remove; otherwise the target
 * host gets the command to remove what it has written. The end is written last, so after an interruption the
 * next try does all parts again.
 */
export async function abandonRecovery(
  recoveryId: string,
  error: WorkflowError,
  deps: CommandDeps,
): Promise<RecoveryRecord> {
  const { recoveries, audit } = deps.store;
  const { record: recovery, commands } = await recoveries.withCommands(recoveryId);
  if (!recoveryHasEnded(recovery)) {
    const { id: ownerId, targetId: agentId, requestedBy } = recovery;
    await cancelCommands(commands.filter(isForNothing), deps);
    // A target host that never got a command has nothing to remove. The workflow's own release, if there was
    // one, was the first round.
    if (commands.length > 0 && !definingCommand(commands))
      await order(
        { ownerId, agentId, kind: "release", round: 2, input: { ownerId }, requestedBy },
        commands,
        deps,
      );
    // The workflow gives the right back; this is for one that no longer runs.
    await endLease(recovery, deps);
  }
  const failure = workflowFailure(error);
  const ended = await recoveries.modify(recoveryId, (one) =>
    abandonedRecovery(one, failure, timestamp(deps.clock)),
  );
  if (ended.state === "completed" || !ended.endedAt) return ended;
  const { pointId, failure: why } = ended;
  await audit.addOnce({
    at: ended.endedAt,
    actor: "causeway",
    action: `recovery-${ended.state}`,
    subject: recoveryId,
    outcome: "done",
    details: why ? { pointId, failure: why.name, message: why.message } : { pointId },
  });
  return ended;
}

/**
 * Cancels a recovery in any state of its workflow; repeating it is harmless. One whose machine keeps
 * production is never cancelled: it ends as failed if its workflow was stopped before it noted that. Throws
 * `NotFoundError`, or `WrongStateError` if it has completed or failed, or is about to complete.
 */
export async function stopRecovery(
  id: string,
  actor: string,
  deps: CommandDeps & { workflow: Pick<Workflow, "start" | "isRunning"> },
): Promise<RecoveryRecord> {
  const { store, workflow, clock } = deps;
  const { keptAt, state } = await store.recoveries.get(id);
  if (keptAt !== undefined && state === "running" && !(await workflow.isRunning(id)))
    return abandonRecovery(id, { Error: "WorkflowInterruptedError", Cause: "the recovery's workflow" }, deps);
  // Mark the recovery, then read its commands. Dispatch writes the command, then reads the mark. So one of
  // the two sees the other.
  const marked = await store.recoveries.modify(id, cancellingRecovery);
  if (recoveryHasEnded(marked)) return marked;
  await store.audit.add({
    at: timestamp(clock),
    actor,
    action: "recovery-cancel-requested",
    subject: id,
    outcome: "done",
  });
  const { record: recovery, commands } = await store.recoveries.withCommands(id);
  await cancelCommands(commands.filter(isForNothing), deps);
  const abandon = () => abandonRecovery(id, { Error: "RecoveryCancelledError", Cause: "" }, deps);
  return awaitEnd(recovery, recoveryInput(recovery), { workflow, abandon });
}

/** Open, and no longer needed. Disks must still be removed, and the source's fence goes by its lease. */
function isForNothing(command: CommandRecord): boolean {
  return isOpen(command) && command.kind !== "release" && command.kind !== "set-fence";
}
