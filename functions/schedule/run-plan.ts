import * as z from "zod";
import { Timestamp } from "#shared/protocol/common.ts";
import { PlanId } from "#shared/protocol/ids.ts";
import { eventHandler } from "../middleware/event-handler.ts";
import { validate } from "../middleware/validate.ts";
import { buildProtection } from "../protection/build.ts";
import type { ProtectionDeps } from "../protection/deps.ts";
import { tick } from "../protection/tick.ts";

const Input = z.object({ planId: PlanId, dueAt: Timestamp });

export const handler = eventHandler({ name: "schedule/run-plan", build: buildProtection, run });

/** A plan's timer has fired. */
export async function run(event: unknown, deps: ProtectionDeps): Promise<void> {
  const { planId, dueAt } = validate(Input, event);
  await tick(planId, Date.parse(dueAt), deps);
}
