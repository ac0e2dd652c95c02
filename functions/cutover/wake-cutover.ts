import { type CutoverRecord, isBefore, isUnderWay } from "#shared/domain/cutover/cutover.ts";
import { failureOf, WindowClosedError, WorkflowInterruptedError } from "#shared/errors.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import type { CutoverDeps } from "./deps.ts";
import { requireWorkflow } from "./require-workflow.ts";
import { settleStart } from "./settle-start.ts";
import { stopLate } from "./stop-cutover.ts";

const LOOK_AGAIN_MS = 3_600_000;

/**
 * A cutover's timer fires: a window opens, or the deadline of one that has begun has come. The scheduler says
 * so at least once, perhaps late or early, and perhaps although the cutover was changed in between.
 */
export async function wakeCutover(id: string, deps: CutoverDeps): Promise<void> {
  const { store, timer, clock } = deps;
  const cutover = await store.cutovers.find(id);
  if (!cutover) return timer.disarmCutover(id);
  const { deadlineAt } = cutover;
  if (isBefore(cutover)) return beginIfDue(cutover, deps);
  if (cutover.state === "committing") return endLost(cutover, deps);
  if (!isUnderWay(cutover) || deadlineAt === undefined) return timer.disarmCutover(id);
  if (clock.now() < Date.parse(deadlineAt)) await timer.armCutover(id, Date.parse(deadlineAt));
  else await stopLate(cutover, failureOf(new WindowClosedError(id, deadlineAt)), deps);
}

/** The workflow of one that waits could have been stopped from outside. */
export async function beginIfDue(cutover: CutoverRecord, deps: CutoverDeps): Promise<void> {
  await requireWorkflow(cutover, deps);
  // Before the workflow continues, which settles it, too.
  await settleCutoverAlarm(cutover, deps);
  await settleStart(cutover, deps);
}

/** One that has committed only needs its workflow. If that was stopped, the lease says how it ended. */
async function endLost(cutover: CutoverRecord, deps: CutoverDeps): Promise<void> {
  const { id } = cutover;
  if (await deps.cutovers.isRunning(id)) return deps.timer.armCutover(id, deps.clock.now() + LOOK_AGAIN_MS);
  await stopLate(cutover, failureOf(new WorkflowInterruptedError(`the workflow of ${id} was stopped`)), deps);
}
