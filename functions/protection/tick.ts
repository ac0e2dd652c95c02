import { afterClaim, isDue, type PlanRecord, secondsToFollowing } from "#shared/domain/protection/plan.ts";
import { beginRun } from "./begin-run.ts";
import type { ProtectionDeps } from "./deps.ts";

/**
 * The scheduler says that a plan's run is due. It says so at least once, perhaps late, and perhaps although
 * an operator has changed the plan in between. Each step may be repeated:
 *
 * 1. The run is begun, or recorded as skipped.
 * 2. The timer is set to the next time of the timetable after now, so an outage is followed by one run.
 * 3. The plan is saved with that time. Until then, a repetition finds the run of step 1.
 *
 * `dueAt`: milliseconds since 1970.
 */
export async function tick(planId: string, dueAt: number, deps: ProtectionDeps): Promise<void> {
  const { store, clock } = deps;
  const plan = await store.plans.find(planId);
  if (!plan) return;
  // The timer's one call is used up, so it must be set again even if this was not the right time.
  if (!isDue(plan, dueAt)) return setTimer(planId, deps);
  const run = await beginRun(
    plan,
    { dueAt: Date.parse(plan.nextRunAt ?? ""), trigger: "schedule", requestedBy: plan.requestedBy },
    deps,
  );
  const claim = { dueAt, runId: run.id, now: clock.now() };
  await armFor(afterClaim(plan, claim), deps);
  await store.plans.modify(planId, (current) =>
    current.nextRunAt === plan.nextRunAt && isDue(current, dueAt) ? afterClaim(current, claim) : current,
  );
  // An operator may have changed the plan in between.
  const { nextRunAt } = await store.plans.get(planId);
  if (nextRunAt !== afterClaim(plan, claim).nextRunAt) await setTimer(planId, deps);
}

/** How often to look whether the plan was changed while its timer was being set. */
const LOOKS = 5;

/**
 * Sets the plan's timer as the plan is stored. Of several calls at once, the last to read the plan decides.
 */
export async function setTimer(planId: string, deps: Pick<ProtectionDeps, "store" | "timer">): Promise<void> {
  const { store } = deps;
  let plan = await store.plans.get(planId);
  for (let look = 0; look < LOOKS; look++) {
    await armFor(plan, deps);
    const { nextRunAt } = plan;
    plan = await store.plans.get(planId);
    if (plan.nextRunAt === nextRunAt) return;
  }
}

async function armFor(plan: PlanRecord, { timer }: Pick<ProtectionDeps, "timer">): Promise<void> {
  const { id, nextRunAt } = plan;
  if (nextRunAt === undefined) return timer.disarm(id);
  // A call that is later than that makes way for the next run's.
  await timer.arm(id, Date.parse(nextRunAt), secondsToFollowing(plan));
}
