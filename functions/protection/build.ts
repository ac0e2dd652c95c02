import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SFNClient } from "@aws-sdk/client-sfn";
import type { Environment } from "#shared/environment.ts";
import { SchedulerPlanTimer } from "../aws/scheduler-plan-timer.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { buildCommanding } from "../conversion/build.ts";
import type { Runtime } from "../middleware/runtime.ts";
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
    timer: new SchedulerPlanTimer({
      client: new SchedulerClient(),
      group: environment.SCHEDULE_GROUP,
      functionArn: environment.RUN_PLAN_FUNCTION_ARN,
      roleArn: environment.SCHEDULER_ROLE_ARN,
      clock: runtime.clock,
    }),
    random: runtime.random,
  };
}
