import { type CutoverRecord, isBefore } from "#shared/domain/cutover/cutover.ts";
import { startDecision } from "#shared/domain/cutover/start.ts";
import type { Clock, PlanTimer, WaitingSteps } from "../ports.ts";

/**
 * Lets the workflow of a waiting cutover continue if it is to begin; otherwise sets the timer to the opening
 * of the next window. Events only ask for this look, so a lost, late or repeated one changes nothing.
 */
export async function settleStart(
  cutover: CutoverRecord,
  { steps, timer, clock }: { steps: WaitingSteps; timer: PlanTimer; clock: Clock },
): Promise<void> {
  if (!isBefore(cutover)) return;
  const decision = startDecision(cutover, clock.now());
  if (decision.kind === "begin") {
    if (cutover.taskToken !== undefined) await steps.succeed(cutover.taskToken, {});
  } else if (decision.until === undefined) await timer.disarmCutover(cutover.id);
  else await timer.armCutover(cutover.id, decision.until);
}
