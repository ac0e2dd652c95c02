import { type CutoverRecord, cutoverHasEnded, isBefore } from "#shared/domain/cutover/cutover.ts";
import { failureOf, WindowClosedError, WorkflowInterruptedError } from "#shared/errors.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import { timestamp } from "../conversion/deps.ts";
import type { CutoverDeps } from "./deps.ts";
import { nextLookBefore } from "./next-look.ts";
import { lookAtRemoval } from "./removal.ts";
import { requireWorkflow, workflowRuns } from "./require-workflow.ts";
import { settleStart } from "./settle-start.ts";
import { continueStop, stopLate } from "./stop-cutover.ts";

/**
 * A cutover's timer fires: a window opens, the deadline of one that has begun has come, its workflow is to be
 * looked at, or whether what it made was removed. The scheduler says so at least once, perhaps late or early,
 * and perhaps although the cutover was changed in between.
 */
export async function wakeCutover(id: string, deps: CutoverDeps): Promise<void> {
  const { store, timer, clock } = deps;
  const cutover = await store.cutovers.find(id);
  if (!cutover) return timer.disarmCutover(id);
  if (cutoverHasEnded(cutover)) return lookAtRemoval(id, deps);
  if (isBefore(cutover)) return beginIfDue(cutover, deps);
  // First: this call, or the workflow that it starts, can be interrupted.
  await timer.armCutover(id, nextLookBefore(deadlineOf(cutover), clock.now()));
  if (cutover.state === "rolling-back" || cutover.state === "cancelling") await continueStop(cutover, deps);
  else await endIfLost(cutover, deps);
}

/** The workflow of one that waits could have been stopped from outside. */
export async function beginIfDue(cutover: CutoverRecord, deps: CutoverDeps): Promise<void> {
  await requireWorkflow(cutover, deps);
  // Before the workflow continues, which settles it, too.
  await settleCutoverAlarm(cutover, deps);
  await settleStart(cutover, deps);
}

/**
 * Without its workflow nothing happens any more, and its source can be quiet. After its deadline it never
 * commits: the commit is a write of the lease. Once that is made, the cutover only needs its workflow.
 */
async function endIfLost(cutover: CutoverRecord, deps: CutoverDeps): Promise<void> {
  const { id } = cutover;
  const deadlineAt = deadlineOf(cutover);
  const isRunning = await workflowRuns(cutover, deps);
  if (isRunning && timestamp(deps.clock) < deadlineAt) return;
  const cause = isRunning
    ? new WindowClosedError(id, deadlineAt)
    : new WorkflowInterruptedError(`the workflow of ${id} was stopped`);
  const ended = await stopLate(cutover, failureOf(cause), deps);
  await settleCutoverAlarm(ended, deps);
}

/** It has one from its beginning on, unless it is cancelled before. */
function deadlineOf({ deadlineAt, createdAt }: CutoverRecord): string {
  return deadlineAt ?? createdAt;
}
