import { drillHasEnded } from "#shared/domain/drill.ts";
import { afterDrill, drillIdOf, isDrillDue } from "#shared/domain/protection/drill-schedule.ts";
import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import { type CausewayError, ForbiddenError, NotFoundError, WrongStateError } from "#shared/errors.ts";
import { reportNoDrill } from "../alarm/drill-failed.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import type { PlanTimer, Workflow } from "../ports.ts";
import { setDrillTimer } from "../protection/schedules.ts";
import { beginDrill } from "./begin-drill.ts";

export interface ScheduledDrillDeps extends ReportDeps {
  /** `drill`: an execution's name is its drill's id. */
  workflow: Pick<Workflow, "start" | "isRunning">;
  timer: PlanTimer;
}

/**
 * The scheduler says that a drill of a plan is due. It says so at least once, perhaps late, and perhaps
 * although an operator has changed the plan in between. Each step may be repeated:
 *
 * 1. The drill of the newest recovery point is begun, under an id made of plan and due time. If it cannot
 *    begin, the alarm says why.
 * 2. The timer is set to the next time of the schedule after now.
 * 3. The plan is saved with that time. Until then, a repetition finds the drill of step 1.
 *
 * `dueAt`: milliseconds since 1970.
 */
export async function drillTick(planId: string, dueAt: number, deps: ScheduledDrillDeps): Promise<void> {
  const { store, clock } = deps;
  const plan = await store.plans.find(planId);
  if (!plan) return deps.timer.disarmDrill(planId);
  // The timer's one call is used up, so it must be set again even if this was not the right time.
  if (!isDrillDue(plan, dueAt)) return setDrillTimer(plan, deps);
  const drillId = await begin(plan, drillIdOf(planId, Date.parse(plan.drillDueAt ?? "")), deps);
  const claim = { dueAt, drillId, now: clock.now() };
  await setDrillTimer(afterDrill(plan, claim), deps);
  const saved = await store.plans.modify(planId, (current) =>
    current.drillDueAt === plan.drillDueAt ? afterDrill(current, claim) : current,
  );
  // An operator may have changed the plan in between.
  await setDrillTimer(saved, deps);
}

/** Returns the id of the drill; `undefined` if it could not begin. */
async function begin(plan: PlanRecord, id: string, deps: ScheduledDrillDeps): Promise<string | undefined> {
  const { drills: schedule, lastPoint, requestedBy } = plan;
  if (!schedule) return undefined;
  if (!lastPoint) {
    const action = "`causeway plan PLAN` says why there is none.";
    await reportNoDrill(plan, { why: "The plan has no recovery point yet.", action }, deps);
    return undefined;
  }
  const before = await stillRunning(plan, id, deps);
  if (before !== undefined) {
    const why = `Drill ${before}, which began before, is still running.`;
    const action = `Look whether its target host is connected: \`causeway drills ${before}\`.`;
    await reportNoDrill(plan, { why, action }, deps);
    return undefined;
  }
  const { cron: _, ...request } = schedule;
  try {
    await beginDrill(request, { id, pointId: lastPoint.id, requestedBy, planId: plan.id }, deps);
    return id;
  } catch (error) {
    if (!isForeseen(error)) throw error;
    await reportNoDrill(plan, { why: `${error.message}.`, action: error.hint }, deps);
    return undefined;
  }
}

/** The plan's last drill if it has not ended; its target host would do both at once. */
async function stillRunning(
  { lastDrillId }: PlanRecord,
  id: string,
  { store, workflow }: ScheduledDrillDeps,
): Promise<string | undefined> {
  if (lastDrillId === undefined || lastDrillId === id) return undefined;
  const last = await store.drills.find(lastDrillId);
  if (!last || drillHasEnded(last)) return undefined;
  return (await workflow.isRunning(lastDrillId)) ? lastDrillId : undefined;
}

function isForeseen(error: unknown): error is CausewayError {
  return (
    error instanceof WrongStateError || error instanceof ForbiddenError || error instanceof NotFoundError
  );
}
