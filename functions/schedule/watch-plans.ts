import { buildAlarmChannels } from "../alarm/build.ts";
import { type WatchDeps, watchAlarms } from "../alarm/watch.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import { buildProtection } from "../protection/build.ts";
import type { ProtectionDeps } from "../protection/deps.ts";
import { watchPlans } from "../protection/watch.ts";

export const handler = eventHandler({
  name: "schedule/watch-plans",
  build: (environment, runtime): Deps => ({
    ...buildProtection(environment, runtime),
    ...buildAlarmChannels(environment),
  }),
  run,
});

type Deps = ProtectionDeps & WatchDeps;

/** Looks after all plans and alarms, a few times in an hour. */
export async function run(_: unknown, deps: Deps): Promise<void> {
  await watchPlans(deps);
  await watchAlarms(deps);
}
