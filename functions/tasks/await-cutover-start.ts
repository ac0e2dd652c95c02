import { SFNClient } from "@aws-sdk/client-sfn";
import * as z from "zod";
import { waitingCutover } from "#shared/domain/cutover/start.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { buildAlarming } from "../alarm/build.ts";
import { settleCutoverAlarm } from "../alarm/cutover-held.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import { timestamp } from "../conversion/deps.ts";
import { settleStart } from "../cutover/settle-start.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { PlanTimer, WaitingSteps } from "../ports.ts";
import { buildPlanTimer } from "../protection/build.ts";

export const Input = z.object({ cutoverId: CutoverId, taskToken: z.string() });

export const handler = taskHandler({
  name: "tasks/await-cutover-start",
  input: Input,
  build: (environment, runtime): Deps => {
    const sfn = new SFNClient();
    return {
      ...buildAlarming(environment, runtime, sfn),
      steps: new SfnWaitingSteps(sfn),
      timer: buildPlanTimer(environment, runtime.clock),
    };
  },
  run,
});

interface Deps extends ReportDeps {
  steps: WaitingSteps;
  timer: PlanTimer;
}

/**
 * The workflow waits with this token until the cutover is to begin. Repeating it is harmless. Throws
 * `CutoverStoppedError` if it was cancelled.
 */
export async function run(
  { cutoverId, taskToken }: z.output<typeof Input>,
  deps: Deps,
): Promise<{ state: "waiting" }> {
  const now = timestamp(deps.clock);
  const cutover = await deps.store.cutovers.modify(cutoverId, (one) => waitingCutover(one, taskToken, now));
  await settleCutoverAlarm(cutover, deps);
  await settleStart(cutover, deps);
  return { state: "waiting" };
}
