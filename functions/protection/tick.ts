import { afterClaim, isDue } from "#shared/domain/protection/plan.ts";
import { beginRun } from "./begin-run.ts";
import type { ProtectionDeps } from "./deps.ts";
import { setSchedules, setTimer, setWatch } from "./schedules.ts";

/**
 * The scheduler says that a plan's run is due. It says so at least once, perhaps late, and perhaps although
 * an operator has changed the plan in between. Each step may be repeated:
 *
 * 1. The run is begun, or recorded as skipped.
 * 2. The timer is set to the next time of the timetable after now, so an outage is followed by one run.
 * 3. The plan is saved with that time. Until then, a repetition finds the run of step 1.
 * 4. The watch is set to the time that it has, in case the scheduler lost it.
 *
 * `dueAt`: milliseconds since 1970.
 */
export async function tick(planId: string, dueAt: number, deps: ProtectionDeps): Promise<void> {
  const { store, clock } = deps;
  const plan = await store.plans.find(planId);
  if (!plan) return;
  // The timer's one call is used up, so it must be set again even if this was not the right time.
  if (!isDue(plan, dueAt)) return setSchedules(planId, deps);
  const run = await beginRun(
    plan,
    { dueAt: Date.parse(plan.nextRunAt ?? ""), trigger: "schedule", requestedBy: plan.requestedBy },
    deps,
  );
  const claim = { dueAt, runId: run.id, now: clock.now() };
  await setTimer(afterClaim(plan, claim), deps);
  const saved = await store.plans.modify(planId, (current) =>
    current.nextRunAt === plan.nextRunAt && isDue(current, dueAt) ? afterClaim(current, claim) : current,
  );
  // An operator may have changed the plan in between.
  if (saved.nextRunAt !== afterClaim(plan, claim).nextRunAt) await setSchedules(planId, deps);
  else await setWatch(saved, deps);
}
