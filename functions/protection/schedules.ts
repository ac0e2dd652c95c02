import { watchTime } from "#shared/domain/protection/lag.ts";
import { type PlanRecord, secondsToFollowing } from "#shared/domain/protection/plan.ts";
import type { Clock, PlanTimer } from "../ports.ts";
import type { Store } from "../store/store.ts";
import { runOnSource } from "./run-on-source.ts";

export interface ScheduleDeps {
  store: Store;
  timer: PlanTimer;
  clock: Clock;
}

/** How often to look whether the plan was changed while its schedules were being set. */
const LOOKS = 5;

/**
 * Sets the plan's timer, its watch and the timer of its drills as the plan is stored. Of several calls at
 * once, the last to read the plan decides.
 */
export async function setSchedules(planId: string, deps: ScheduleDeps): Promise<void> {
  const { store } = deps;
  let plan = await store.plans.get(planId);
  for (let look = 0; look < LOOKS; look++) {
    await setTimer(plan, deps);
    await setWatch(plan, deps);
    await setDrillTimer(plan, deps);
    const before = plan;
    plan = await store.plans.get(planId);
    const isSame = plan.nextRunAt === before.nextRunAt && plan.drillDueAt === before.drillDueAt;
    if (isSame && watchTime(plan) === watchTime(before)) return;
  }
}

export async function setTimer(plan: PlanRecord, { timer }: Pick<ScheduleDeps, "timer">): Promise<void> {
  const { id, nextRunAt } = plan;
  if (nextRunAt === undefined) return timer.disarm(id);
  // A call that is later than that makes way for the next run's.
  await timer.arm(id, Date.parse(nextRunAt), secondsToFollowing(plan));
}

export async function setDrillTimer(
  { id, drillDueAt }: PlanRecord,
  { timer }: Pick<ScheduleDeps, "timer">,
): Promise<void> {
  if (drillDueAt === undefined) await timer.disarmDrill(id);
  else await timer.armDrill(id, Date.parse(drillDueAt));
}

/**
 * Sets the watch to the time at which the plan is late. If that has passed, the watch fires every hour, and
 * stays. If no point is promised, it is removed, unless a run must still be looked after.
 */
export async function setWatch(plan: PlanRecord, deps: ScheduleDeps): Promise<void> {
  const { timer, clock } = deps;
  const from = watchTime(plan);
  if (from === undefined) {
    if (!(await runOnSource(plan, deps))) await timer.unwatch(plan.id);
  } else if (from > clock.now()) await timer.watch(plan.id, from);
}
