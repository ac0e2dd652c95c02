import { type PlanRecord, withoutStandby } from "#shared/domain/protection/plan.ts";
import { WrongStateError } from "#shared/errors.ts";
import type { ForgottenStandby } from "#shared/protocol/protection.ts";
import { timestamp } from "../conversion/deps.ts";
import { order } from "../conversion/order.ts";
import type { ProtectionDeps } from "./deps.ts";
import { runOnSource } from "./run-on-source.ts";

/** The plan's standby, and what would happen to its images; `null` if it keeps none. */
export async function imagesOf(
  { standbyTargetId: targetId, lastRunId }: PlanRecord,
  { store }: ProtectionDeps,
): Promise<ForgottenStandby | null> {
  if (targetId === undefined) return null;
  if (lastRunId === undefined) return { targetId, images: "none" };
  const target = await store.agents.find(targetId);
  return { targetId, images: !target || target.revokedAt ? "left" : "ordered" };
}

/**
 * Has the target host remove the standby's images, then forgets it, so that no point stays because of it. No
 * workflow waits: a host that is away removes them when it connects. Repeating it after an interruption
 * orders the same again. Returns `null` if the plan keeps no standby. Throws `WrongStateError` while a run of
 * the plan may be writing the standby.
 */
export async function forgetStandbyOf(
  plan: PlanRecord,
  actor: string,
  deps: ProtectionDeps,
): Promise<ForgottenStandby | null> {
  const { store, clock } = deps;
  const run = await runOnSource(plan, deps);
  if (run)
    throw new WrongStateError(
      `run ${run.id} of plan ${plan.id} may be writing the standby`,
      "Wait until the run has ended, then repeat this.",
    );
  const found = await imagesOf(plan, deps);
  if (!found) return null;
  if (found.images === "ordered") await orderRemoval(plan, { targetId: found.targetId, actor }, deps);
  await store.plans.modify(plan.id, (one) => withoutStandby(one, found.targetId));
  const entry = { actor, action: "standby-forgotten", subject: plan.id, outcome: "done" as const };
  await store.audit.add({ at: timestamp(clock), ...entry, details: { ...found } });
  return found;
}

/** The command belongs to the plan's last run, which is not repeated and has ended. */
async function orderRemoval(
  { id: planId, lastRunId = "" }: PlanRecord,
  { targetId, actor }: { targetId: string; actor: string },
  deps: ProtectionDeps,
): Promise<void> {
  const { commands } = await deps.store.runs.withCommands(lastRunId);
  await order(
    {
      ...{ ownerId: lastRunId, agentId: targetId, kind: "forget-standby", round: 1 },
      ...{ input: { ownerId: lastRunId, planId }, requestedBy: actor },
    },
    commands,
    deps,
  );
}
