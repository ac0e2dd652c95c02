import { eventHandler } from "../middleware/event-handler.ts";
import { buildProtection } from "../protection/build.ts";
import type { ProtectionDeps } from "../protection/deps.ts";
import { watchPlans } from "../protection/watch.ts";

export const handler = eventHandler({ name: "schedule/watch-plans", build: buildProtection, run });

/** Looks after all plans, a few times in an hour. */
export async function run(_: unknown, deps: ProtectionDeps): Promise<void> {
  await watchPlans(deps);
}
