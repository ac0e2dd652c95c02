import { type CutoverRecord, isBefore, isUnderWay } from "#shared/domain/cutover/cutover.ts";
import { startDecision } from "#shared/domain/cutover/start.ts";
import type { Clock, PlanTimer, WaitingSteps } from "../ports.ts";
import type { Store } from "../store/store.ts";
import { nextLookBefore } from "./next-look.ts";

interface Deps {
  store: Pick<Store, "cutovers">;
  steps: WaitingSteps;
  timer: PlanTimer;
  clock: Clock;
}

/**
 * Lets the workflow of a waiting cutover continue if it is to begin; otherwise sets the timer to the opening
 * of the next window. Events only ask for this look, so a lost, late or repeated one changes nothing. The
 * cutover can be edited or begin during the look: then it is looked at again, because there is one timer
 * for both.
 */
export async function settleStart(cutover: CutoverRecord, deps: Deps): Promise<void> {
  for (let seen = cutover; isBefore(seen); ) {
    await settle(seen, deps);
    const current = await deps.store.cutovers.get(seen.id);
    if (current.version === seen.version) return;
    if (isUnderWay(current) && current.deadlineAt !== undefined)
      await deps.timer.armCutover(current.id, nextLookBefore(current.deadlineAt, deps.clock.now()));
    seen = current;
  }
}

async function settle(cutover: CutoverRecord, { steps, timer, clock }: Deps): Promise<void> {
  const decision = startDecision(cutover, clock.now());
  if (decision.kind === "begin") {
    if (cutover.taskToken !== undefined) await steps.succeed(cutover.taskToken, {});
  } else if (decision.until === undefined) await timer.disarmCutover(cutover.id);
  else await timer.armCutover(cutover.id, decision.until);
}
