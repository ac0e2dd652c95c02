import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { KMSClient } from "@aws-sdk/client-kms";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SFNClient } from "@aws-sdk/client-sfn";
import type { Environment } from "#shared/environment.ts";
import { IotAgentMessenger } from "../aws/iot-agent-messenger.ts";
import { KmsCommandKey } from "../aws/kms-command-key.ts";
import { SchedulerPlanTimer } from "../aws/scheduler-plan-timer.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import type { Runtime } from "../middleware/runtime.ts";
import { openStore } from "../store/store.ts";
import type { ProtectionDeps } from "./deps.ts";

/** For each function that begins protection runs. */
export function buildProtection(
  environment: Environment<"schedule/run-plan">,
  { clock, random, log }: Runtime,
): ProtectionDeps {
  const sfn = new SFNClient();
  return {
    store: openStore(new DynamoDBClient(), environment.TABLE_NAME, random),
    agents: new IotAgentMessenger(new IoTDataPlaneClient()),
    commandKey: new KmsCommandKey(new KMSClient(), environment.COMMAND_KEY_ARN),
    steps: new SfnWaitingSteps(sfn),
    workflow: new SfnWorkflow(sfn, environment.PROTECTION_WORKFLOW_ARN),
    timer: new SchedulerPlanTimer({
      client: new SchedulerClient(),
      group: environment.SCHEDULE_GROUP,
      functionArn: environment.RUN_PLAN_FUNCTION_ARN,
      roleArn: environment.SCHEDULER_ROLE_ARN,
      clock,
    }),
    clock,
    random,
    log,
  };
}
