import { errorFields, type Log } from "#shared/log.ts";
import { reportPlanLag } from "../alarm/plan-late.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import type { PlanTimer } from "../ports.ts";

export interface SettleDeps extends ReportDeps {
  timer: PlanTimer;
  log: Log;
}

const AGAIN_AFTER_MS = 10 * 60_000;

/**
 * Clears the plan's alarm if the plan is no longer late. If that or its notice fails, the plan's watch does
 * it in some minutes, because what the caller has done for the plan is done. Throws only if the watch cannot
 * be set either.
 */
export async function settleAlarm(planId: string, deps: SettleDeps): Promise<void> {
  try {
    await reportPlanLag(planId, deps);
  } catch (error) {
    deps.log.error("alarm not settled", { planId, ...errorFields(error) });
    await deps.timer.watch(planId, deps.clock.now() + AGAIN_AFTER_MS);
  }
}
