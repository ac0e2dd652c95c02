import { SFNClient } from "@aws-sdk/client-sfn";
import { SNSClient } from "@aws-sdk/client-sns";
import { type WatchDeps, watchAlarms } from "../alarm/watch.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { SnsAlarmTopic } from "../aws/sns-alarm-topic.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import { buildProtection } from "../protection/build.ts";
import type { ProtectionDeps } from "../protection/deps.ts";
import { watchPlans } from "../protection/watch.ts";

export const handler = eventHandler({
  name: "schedule/watch-plans",
  build: (environment, runtime): Deps => ({
    ...buildProtection(environment, runtime),
    topic: new SnsAlarmTopic(new SNSClient(), environment.ALARM_TOPIC_ARN),
    webhooks: new SfnWorkflow(new SFNClient(), environment.WEBHOOK_WORKFLOW_ARN),
  }),
  run,
});

type Deps = ProtectionDeps & WatchDeps;

/** Looks after all plans and alarms, a few times in an hour. */
export async function run(_: unknown, deps: Deps): Promise<void> {
  await watchPlans(deps);
  await watchAlarms(deps);
}
