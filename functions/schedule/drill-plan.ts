import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SFNClient } from "@aws-sdk/client-sfn";
import { z } from "zod";
import { Timestamp } from "#shared/protocol/common.ts";
import { PlanId } from "#shared/protocol/ids.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { drillTick, type ScheduledDrillDeps } from "../drill/scheduled-drill.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import { validate } from "../middleware/validate.ts";
import { buildPlanTimer } from "../protection/build.ts";
import { openStore } from "../store/store.ts";

const Input = z.object({ planId: PlanId, dueAt: Timestamp });

export const handler = eventHandler({
  name: "schedule/drill-plan",
  build: (environment, { clock, random }): ScheduledDrillDeps => {
    const sfn = new SFNClient();
    return {
      store: openStore(new DynamoDBClient(), environment.TABLE_NAME, random),
      workflow: new SfnWorkflow(sfn, environment.DRILL_WORKFLOW_ARN),
      timer: buildPlanTimer(environment, clock),
      ...buildAlarmChannels(environment, sfn),
      ...{ clock, random },
    };
  },
  run,
});

/** A plan's drill is due. */
export async function run(event: unknown, deps: ScheduledDrillDeps): Promise<void> {
  const { planId, dueAt } = validate(Input, event);
  await drillTick(planId, Date.parse(dueAt), deps);
}
