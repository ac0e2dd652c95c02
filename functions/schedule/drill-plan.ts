import { SFNClient } from "@aws-sdk/client-sfn";
import * as z from "zod";
import { Timestamp } from "#shared/protocol/common.ts";
import { PlanId } from "#shared/protocol/ids.ts";
import { buildAlarming } from "../alarm/build.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { drillTick, type ScheduledDrillDeps } from "../drill/scheduled-drill.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import { validate } from "../middleware/validate.ts";
import { buildPlanTimer } from "../protection/build.ts";

const Input = z.object({ planId: PlanId, dueAt: Timestamp });

export const handler = eventHandler({
  name: "schedule/drill-plan",
  build: (environment, runtime): ScheduledDrillDeps => {
    const sfn = new SFNClient();
    return {
      ...buildAlarming(environment, runtime, sfn),
      workflow: new SfnWorkflow(sfn, environment.DRILL_WORKFLOW_ARN),
      timer: buildPlanTimer(environment, runtime.clock),
    };
  },
  run,
});

/** A plan's drill is due. */
export async function run(event: unknown, deps: ScheduledDrillDeps): Promise<void> {
  const { planId, dueAt } = validate(Input, event);
  await drillTick(planId, Date.parse(dueAt), deps);
}
