import { type AgentRecord, protectedBy, requireServing, unprotected } from "#shared/domain/agent.ts";
import { timeOfId } from "#shared/domain/id.ts";
import { requireUnused } from "#shared/domain/preflight/unused-disk-rules.ts";
import { newPlan, type PlanRecord } from "#shared/domain/protection/plan.ts";
import { InvalidInputError, WrongStateError } from "#shared/errors.ts";
import type { NewPlan } from "#shared/protocol/protection.ts";
import { ABANDONED_AFTER_MS } from "../conversion/stale-holder.ts";
import type { ProtectionDeps } from "./deps.ts";
import { setSchedules, setWatch } from "./schedules.ts";

/**
 * Creates a plan. Each step may be repeated, and the same request (by its `Idempotency-Key`) continues after
 * an interruption between any two:
 *
 * 1. The source notes the plan, so that it has only one. After an interruption here, a plan that does not
 *    exist protects the source: after two minutes, the next plan takes the source over.
 * 2. Its watch is set. After an interruption here, the watch finds no plan, and is removed.
 * 3. The plan is stored. After an interruption here, the watch begins its first run.
 * 4. Its timer is set.
 */
export async function beginPlan(
  request: NewPlan,
  given: { id: string; requestedBy: string },
  deps: ProtectionDeps,
): Promise<PlanRecord> {
  const { store } = deps;
  const plan = (await store.plans.find(given.id)) ?? (await admit(request, given, deps));
  await setSchedules(plan.id, deps);
  await store.audit.addOnce({
    at: plan.createdAt,
    actor: plan.requestedBy,
    action: "plan-created",
    subject: plan.id,
    outcome: "done",
    details: { ...request },
  });
  return plan;
}

/** Steps 1 to 3. A plan that is refused changes nothing. */
async function admit(
  request: NewPlan,
  { id, requestedBy }: { id: string; requestedBy: string },
  deps: ProtectionDeps,
): Promise<PlanRecord> {
  const { store, clock } = deps;
  const source = requireServing(await store.agents.find(request.sourceId), "source", request.sourceId);
  if (source.enrolledFrom === "boot-environment") {
    throw new WrongStateError(
      `source ${source.name} was started by hand from a boot image, and is this source until it restarts`,
      "Enrol the agent in the machine's own system, and protect that source.",
    );
  }
  await requireTarget(request.standbyTargetId, deps);
  await requireTarget(request.drills?.targetId, deps);
  requireOwnDisks(request.disks, source);
  const chosen = source.inventory?.disks.filter(({ name }) => request.disks?.includes(name) ?? true) ?? [];
  requireUnused(chosen, request.accept);
  const plan = newPlan(request, { id, requestedBy, now: clock.now() });
  const stale = await stalePlan(source.planId, deps);
  await store.agents.modify(source.id, (current) =>
    protectedBy(stale ? unprotected(current, stale) : current, id),
  );
  await setWatch(plan, deps);
  return store.plans.add(plan);
}

/** Throws `InvalidInputError` if the source has told its disks, and these are not among them. */
export function requireOwnDisks(
  names: readonly string[] | null | undefined,
  { name: source, inventory }: AgentRecord,
): void {
  const known = inventory?.disks.map(({ name }) => name);
  const unknown = names?.filter((name) => known && !known.includes(name)) ?? [];
  if (unknown.length === 0) return;
  const message = `source ${source} has no disk ${unknown.join(", ")}: it has ${known?.join(", ")}`;
  throw new InvalidInputError([{ path: "disks", message }]);
}

/** Throws `NotFoundError` or `ForbiddenError` if this is no target host that can be used. */
export async function requireTarget(
  targetId: string | null | undefined,
  { store }: Pick<ProtectionDeps, "store">,
): Promise<void> {
  if (targetId) requireServing(await store.agents.find(targetId), "target", targetId);
}

/** The plan if it was deleted, or never stored. */
async function stalePlan(
  planId: string | undefined,
  { store, clock }: ProtectionDeps,
): Promise<string | undefined> {
  if (planId === undefined) return undefined;
  const plan = await store.plans.find(planId);
  if (plan) return plan.state === "deleted" ? planId : undefined;
  return clock.now() - timeOfId(planId) > ABANDONED_AFTER_MS ? planId : undefined;
}
