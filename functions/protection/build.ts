import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SFNClient } from "@aws-sdk/client-sfn";
import type { Environment } from "#shared/environment.ts";
import { SchedulerPlanTimer } from "../aws/scheduler-plan-timer.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { buildCommanding } from "../conversion/build.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Clock, PlanTimer } from "../ports.ts";
import type { ProtectionDeps } from "./deps.ts";

/** For each function that begins protection runs. */
export function buildProtection(
  environment: Environment<"schedule/run-plan">,
  runtime: Runtime,
): ProtectionDeps {
  const sfn = new SFNClient();
  return {
    ...buildCommanding(environment, runtime, sfn),
    workflow: new SfnWorkflow(sfn, environment.PROTECTION_WORKFLOW_ARN),
    timer: buildPlanTimer(environment, runtime.clock),
    random: runtime.random,
  };
}

/** For each function that sets plans' schedules. */
export function buildPlanTimer(
  environment: Pick<
    Environment<"schedule/run-plan">,
    | "SCHEDULE_GROUP"
    | "RUN_PLAN_FUNCTION_ARN"
    | "WATCH_PLAN_FUNCTION_ARN"
    | "DRILL_PLAN_FUNCTION_ARN"
    | "WAKE_CUTOVER_FUNCTION_ARN"
    | "SCHEDULER_ROLE_ARN"
  >,
  clock: Clock,
): PlanTimer {
  return new SchedulerPlanTimer({
    client: new SchedulerClient(),
    group: environment.SCHEDULE_GROUP,
    runPlanArn: environment.RUN_PLAN_FUNCTION_ARN,
    watchPlanArn: environment.WATCH_PLAN_FUNCTION_ARN,
    drillPlanArn: environment.DRILL_PLAN_FUNCTION_ARN,
    wakeCutoverArn: environment.WAKE_CUTOVER_FUNCTION_ARN,
    roleArn: environment.SCHEDULER_ROLE_ARN,
    clock,
  });
}
