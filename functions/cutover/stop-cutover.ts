/** How a cutover ends before it has committed. */
import { bringsBack, isOpen, undoes } from "#shared/domain/command.ts";
import {
  type CutoverRecord,
  cancellingCutover,
  cutoverHasEnded,
  rollingBackCutover,
  stoppedCutover,
} from "#shared/domain/cutover/cutover.ts";
import { runHasEnded } from "#shared/domain/protection/run.ts";
import {
  cancellationOf,
  type Failure,
  failureOf,
  WindowClosedError,
  WorkflowInterruptedError,
} from "#shared/errors.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import { cancelCommands } from "../conversion/cancel-commands.ts";
import { timestamp } from "../conversion/deps.ts";
import { stopRun } from "../protection/abandon-run.ts";
import type { ProtectionDeps } from "../protection/deps.ts";
import { endLease } from "../recovery/end-lease.ts";
import type { CutoverDeps } from "./deps.ts";
import { nextLook } from "./next-look.ts";
import { requireWorkflow, workflowRuns } from "./require-workflow.ts";

/**
 * After a failure: what still works for the cutover is stopped, and its machine gets no more time to run.
 * The workflow undoes the rest. Once it has committed, nothing is undone. Repeating it is harmless.
 */
export async function haltCutover(
  id: string,
  failure: Failure,
  deps: ProtectionDeps,
): Promise<CutoverRecord> {
  const now = timestamp(deps.clock);
  const stop = (one: CutoverRecord, mayRun: boolean) =>
    stoppedCutover(one, { failure: causeOf(failure, one, now), mayRun, now });
  const cutover = await stopped(id, stop, deps);
  await stopWork(cutover, deps);
  return cutover;
}

/** A step's time ends with the window at the latest: then that is the reason. */
function causeOf(failure: Failure, { id, deadlineAt }: CutoverRecord, now: string): Failure {
  const isLate = failure.name === "StepTimedOutError" || failure.name === "BootEnvironmentSilentError";
  if (!isLate || deadlineAt === undefined || now < deadlineAt) return failure;
  return failureOf(new WindowClosedError(id, deadlineAt));
}

/** An operator cancels a cutover that has not begun. Repeating it is harmless. Throws `WrongStateError`. */
export async function cancelByHand(id: string, by: string, deps: CutoverDeps): Promise<CutoverRecord> {
  const cutover = await deps.store.cutovers.modify(id, (one) =>
    cancellingCutover(one, by, timestamp(deps.clock)),
  );
  return stopByHand(cutover, { by, action: "cutover-cancel-requested" }, deps);
}

/**
 * An operator rolls back a cutover that has begun. One that has committed, and whose workflow was stopped,
 * ends as failed: the event that would notice that may have been lost. Repeating it is harmless. Throws
 * `WrongStateError`.
 */
export async function rollBackByHand(id: string, by: string, deps: CutoverDeps): Promise<CutoverRecord> {
  const now = timestamp(deps.clock);
  const isRunning = await workflowRuns(await deps.store.cutovers.get(id), deps);
  const failure = failureOf(new WorkflowInterruptedError(`the workflow of ${id} was stopped`));
  const cutover = await stopped(
    id,
    (one, mayRun) =>
      mayRun && !isRunning
        ? stoppedCutover(one, { failure, mayRun, now })
        : rollingBackCutover(one, { by, mayRun, now }),
    deps,
  );
  const ended = await stopByHand(cutover, { by, action: "cutover-rollback-requested" }, deps);
  if (ended.state === "failed") await settleCutoverAlarm(ended, deps);
  return ended;
}

/**
 * The window closes, or the workflow is gone. One that has committed is left to its workflow if that runs.
 * Repeating it is harmless.
 */
export async function stopLate(
  late: CutoverRecord,
  failure: Failure,
  deps: CutoverDeps,
): Promise<CutoverRecord> {
  const { id } = late;
  const isRunning = await workflowRuns(late, deps);
  const now = timestamp(deps.clock);
  const stop = (one: CutoverRecord, mayRun: boolean) =>
    mayRun && isRunning ? one : stoppedCutover(one, { failure, mayRun, now });
  const cutover = await stopped(id, stop, deps);
  await continueStop(cutover, deps);
  return cutover;
}

/** What follows the mark that it is being stopped. Repeating it is harmless. */
export async function continueStop(cutover: CutoverRecord, deps: CutoverDeps): Promise<void> {
  await stopWork(cutover, deps);
  await requireWorkflow(await deps.store.cutovers.get(cutover.id), deps);
}

/**
 * Whether one in `committing` has committed is decided by the lease alone, which is ended first: one that is
 * ending never gets permanent. `stop` gets whether it is. The commit can begin between the look and the
 * write: then that is looked at, too.
 */
async function stopped(
  id: string,
  stop: (cutover: CutoverRecord, mayRun: boolean) => CutoverRecord,
  deps: ProtectionDeps,
): Promise<CutoverRecord> {
  const { cutovers } = deps.store;
  for (;;) {
    const before = await cutovers.get(id);
    const isCommitting = before.state === "committing";
    const lease = isCommitting ? await endLease(before, deps) : undefined;
    const mayRun = lease?.state === "permanent" && lease.ownerId === id;
    const after = await cutovers.modify(id, (one) =>
      one.state === "committing" && !isCommitting ? one : stop(one, mayRun),
    );
    if (isCommitting || after.state !== "committing") return after;
  }
}

async function stopByHand(
  cutover: CutoverRecord,
  { by, action }: { by: string; action: string },
  deps: CutoverDeps,
): Promise<CutoverRecord> {
  if (cutoverHasEnded(cutover)) return cutover;
  const entry = { actor: by, action, subject: cutover.id, outcome: "done" } as const;
  await deps.store.audit.add({ at: timestamp(deps.clock), ...entry });
  await continueStop(cutover, deps);
  const current = await deps.store.cutovers.get(cutover.id);
  // Last: what leads back does not wait for the scheduler, and an operator repeats what failed.
  if (!cutoverHasEnded(current)) await deps.timer.armCutover(cutover.id, nextLook(deps.clock.now()));
  return current;
}

/**
 * The mark comes first, then the commands are read. Dispatch writes the command, then reads the mark. So one
 * of the two sees the other.
 */
async function stopWork({ id, state, taskToken }: CutoverRecord, deps: ProtectionDeps): Promise<void> {
  const { store, steps } = deps;
  if (state !== "rolling-back" && state !== "cancelling") return;
  if (taskToken !== undefined) await steps.fail(taskToken, failureOf(cancellationOf(id)));
  const { record, commands } = await store.cutovers.withCommands(id);
  await cancelCommands(
    commands.filter((one) => isOpen(one) && !undoes(one) && !bringsBack(one)),
    deps,
  );
  await endLease(record, deps);
  for (const { id: runId } of record.runs.slice(-1)) {
    const run = await store.runs.find(runId);
    if (run && !runHasEnded(run)) await stopRun(runId, deps);
  }
}
