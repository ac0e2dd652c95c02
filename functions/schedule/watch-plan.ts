import * as z from "zod";
import { PlanId } from "#shared/protocol/ids.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import { validate } from "../middleware/validate.ts";
import { buildProtection } from "../protection/build.ts";
import { type WatchDeps, watchPlan } from "../protection/watch.ts";

const Input = z.object({ planId: PlanId });

export const handler = eventHandler({
  name: "schedule/watch-plan",
  build: (environment, runtime): WatchDeps => ({
    ...buildProtection(environment, runtime),
    ...buildAlarmChannels(environment),
  }),
  run,
});

/** A plan's watch has fired. */
export async function run(event: unknown, deps: WatchDeps): Promise<void> {
  await watchPlan(validate(Input, event).planId, deps);
}
