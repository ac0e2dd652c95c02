import { type CutoverRecord, cutoverHasEnded, isBefore, isUnderWay } from "#shared/domain/cutover/cutover.ts";
import { failureOf, WindowClosedError, WorkflowInterruptedError } from "#shared/errors.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import { timestamp } from "../conversion/deps.ts";
import type { CutoverDeps } from "./deps.ts";
import { requireWorkflow, workflowRuns } from "./require-workflow.ts";
import { settleStart } from "./settle-start.ts";
import { continueStop, LOOK_AGAIN_MS, stopLate } from "./stop-cutover.ts";

/**
 * A cutover's timer fires: a window opens, or the deadline of one that has begun has come. The scheduler says
 * so at least once, perhaps late or early, and perhaps although the cutover was changed in between.
 */
export async function wakeCutover(id: string, deps: CutoverDeps): Promise<void> {
  const { store, timer, clock } = deps;
  const cutover = await store.cutovers.find(id);
  if (!cutover || cutoverHasEnded(cutover)) return timer.disarmCutover(id);
  if (isBefore(cutover)) return beginIfDue(cutover, deps);
  // It has one from its beginning on.
  const { deadlineAt = cutover.createdAt } = cutover;
  if (isUnderWay(cutover) && clock.now() < Date.parse(deadlineAt))
    return timer.armCutover(id, Date.parse(deadlineAt));
  // First: this call, or the workflow that it starts, can be interrupted.
  await timer.armCutover(id, clock.now() + LOOK_AGAIN_MS);
  if (cutover.state === "committing") await endCommit(cutover, deps);
  else if (isUnderWay(cutover))
    await stopLate(cutover, failureOf(new WindowClosedError(id, deadlineAt)), deps);
  else await continueStop(cutover, deps);
}

/** The workflow of one that waits could have been stopped from outside. */
export async function beginIfDue(cutover: CutoverRecord, deps: CutoverDeps): Promise<void> {
  await requireWorkflow(cutover, deps);
  // Before the workflow continues, which settles it, too.
  await settleCutoverAlarm(cutover, deps);
  await settleStart(cutover, deps);
}

/**
 * The commit is a write of the lease. If that was not made before the deadline, it never is; once it is, the
 * cutover only needs its workflow.
 */
async function endCommit(cutover: CutoverRecord, deps: CutoverDeps): Promise<void> {
  const { id, deadlineAt } = cutover;
  const { clock } = deps;
  const isRunning = await workflowRuns(cutover, deps);
  if (isRunning && timestamp(clock) < (deadlineAt ?? "")) return;
  const cause = isRunning
    ? new WindowClosedError(id, deadlineAt ?? "")
    : new WorkflowInterruptedError(`the workflow of ${id} was stopped`);
  const ended = await stopLate(cutover, failureOf(cause), deps);
  await settleCutoverAlarm(ended, deps);
}
