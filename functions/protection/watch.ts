import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import { errorFields } from "#shared/log.ts";
import { isOverdue, reportPlanLag } from "../alarm/plan-late.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { ABANDONED_AFTER_MS } from "../conversion/stale-holder.ts";
import { abandonRun } from "./abandon-run.ts";
import type { ProtectionDeps } from "./deps.ts";
import { runOnSource } from "./run-on-source.ts";
import { setSchedules } from "./schedules.ts";
import { tick } from "./tick.ts";

export type WatchDeps = ProtectionDeps & ReportDeps;

/**
 * A plan's watch fires: no run has made a recovery point in time. Raises the alarm, and repairs what an
 * interruption may have left: begins the run whose time has passed without one, and ends a run whose workflow
 * has ended without ending it. The scheduler says so at least once, perhaps late, perhaps early, and every
 * hour until the plan has a point. Each part is tried even if another fails; the scheduler's next call makes
 * up for it.
 */
export async function watchPlan(planId: string, deps: WatchDeps): Promise<void> {
  const plan = await deps.store.plans.find(planId);
  // The request that creates it was interrupted.
  if (!plan) return deps.timer.unwatch(planId);
  const failures: unknown[] = [];
  for (const part of [reportLag, beginOverdueRun, endLostRun, setAgain]) {
    try {
      await part(plan, deps);
    } catch (error) {
      deps.log.error("plan not looked after", { planId, ...errorFields(error) });
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** After an overdue run has begun: a run whose beginning was interrupted is begun to its end, not ended. */
async function endLostRun(plan: PlanRecord, deps: WatchDeps): Promise<void> {
  const { clock, workflow, log } = deps;
  const run = await runOnSource(plan, deps);
  if (!run || clock.now() - Date.parse(run.startedAt) < ABANDONED_AFTER_MS) return;
  if (await workflow.isRunning(run.id)) return;
  log.warn("run ended without its workflow", { planId: plan.id, runId: run.id });
  await abandonRun(run.id, { Error: "WorkflowInterruptedError", Cause: run.id }, deps);
}

/** Before an overdue run begins, so that the alarm says that it had not begun. */
function reportLag({ id }: PlanRecord, deps: WatchDeps): Promise<void> {
  return reportPlanLag(id, deps);
}

async function beginOverdueRun({ id }: PlanRecord, deps: WatchDeps): Promise<void> {
  const { clock, log, store } = deps;
  const plan = await store.plans.get(id);
  if (!isOverdue(plan, clock.now())) return;
  log.warn("run began late", { planId: id, dueAt: plan.nextRunAt });
  await tick(id, Date.parse(plan.nextRunAt ?? ""), deps);
}

function setAgain({ id }: PlanRecord, deps: WatchDeps): Promise<void> {
  return setSchedules(id, deps);
}
