import { SFNClient } from "@aws-sdk/client-sfn";
import { SNSClient } from "@aws-sdk/client-sns";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { SnsAlarmTopic } from "../aws/sns-alarm-topic.ts";
import type { Runtime } from "../middleware/runtime.ts";
import { buildStore } from "../store/build.ts";
import type { AlarmDeps, ReportDeps } from "./raise.ts";

/** Where notices go, for each function that raises or clears alarms. */
export function buildAlarmChannels(
  environment: { ALARM_TOPIC_ARN: string; WEBHOOK_WORKFLOW_ARN: string },
  sfn: SFNClient = new SFNClient(),
): Pick<AlarmDeps, "topic" | "webhooks"> {
  return {
    topic: new SnsAlarmTopic(new SNSClient(), environment.ALARM_TOPIC_ARN),
    webhooks: new SfnWorkflow(sfn, environment.WEBHOOK_WORKFLOW_ARN),
  };
}

/** For each function that raises or clears alarms, and commands no agents. */
export function buildAlarming(
  environment: { TABLE_NAME: string; ALARM_TOPIC_ARN: string; WEBHOOK_WORKFLOW_ARN: string },
  runtime: Runtime,
  sfn?: SFNClient,
): ReportDeps {
  return {
    ...buildStore(environment, runtime),
    ...buildAlarmChannels(environment, sfn),
    random: runtime.random,
  };
}
