import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import { errorFields } from "#shared/log.ts";
import { abandonRun } from "./abandon-run.ts";
import type { ProtectionDeps } from "./deps.ts";
import { runOnSource } from "./run-on-source.ts";
import { tick } from "./tick.ts";

const PAGE = 200;

/** A timer fires within a minute, and its call is repeated for another. */
const OVERDUE_AFTER_MS = 5 * 60_000;

/** Describing executions is a scarce right, so only runs that take this long are looked at. */
const LONG_RUN_MS = 60 * 60_000;

/**
 * Repairs what interruptions have left: begins the runs whose time has passed without a run, and ends runs
 * whose workflow has ended without ending them. One plan's failure does not keep the others from being looked
 * at.
 */
export async function watchPlans(deps: ProtectionDeps): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await deps.store.plans.page({ limit: PAGE, cursor });
    for (const plan of page.items) {
      try {
        await watchPlan(plan, deps);
      } catch (error) {
        deps.log.error("plan not looked after", { planId: plan.id, ...errorFields(error) });
      }
    }
    cursor = page.cursor ?? undefined;
  } while (cursor);
}

async function watchPlan(plan: PlanRecord, deps: ProtectionDeps): Promise<void> {
  const { clock, workflow, log } = deps;
  const { id, nextRunAt } = plan;
  const run = await runOnSource(plan, deps);
  const isLong = run && clock.now() - Date.parse(run.startedAt) > LONG_RUN_MS;
  if (isLong && !(await workflow.isRunning(run.id))) {
    log.warn("run ended without its workflow", { planId: id, runId: run.id });
    await abandonRun(run.id, { Error: "WorkflowInterruptedError", Cause: run.id }, deps);
  }
  if (nextRunAt !== undefined && clock.now() - Date.parse(nextRunAt) > OVERDUE_AFTER_MS) {
    log.warn("run began late", { planId: id, dueAt: nextRunAt });
    await tick(id, Date.parse(nextRunAt), deps);
  }
}
