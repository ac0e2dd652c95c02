import { requireServing } from "#shared/domain/agent.ts";
import { type CutoverRecord, cutoverHasEnded, cutoverInput } from "#shared/domain/cutover/cutover.ts";
import { newCutover, requireStandby } from "#shared/domain/cutover/new-cutover.ts";
import { timeOfId } from "#shared/domain/id.ts";
import { lapsedLease } from "#shared/domain/lease.ts";
import { type PlanRecord, withCutover } from "#shared/domain/protection/plan.ts";
import { WrongStateError } from "#shared/errors.ts";
import type { NewCutover } from "#shared/protocol/cutover.ts";
import { timestamp } from "../conversion/deps.ts";
import { ABANDONED_AFTER_MS } from "../conversion/stale-holder.ts";
import type { CutoverDeps } from "./deps.ts";
import { bootImageForCutover } from "./restartable-source.ts";
import { settleStart } from "./settle-start.ts";

/**
 * Creates a cutover. Each step may be repeated, and the same request (by its `Idempotency-Key`) continues
 * after an interruption between any two:
 *
 * 1. The plan notes the cutover, so that a source has only one. After an interruption here, it can have
 *    another one after two minutes.
 * 2. The cutover is stored. After an interruption here, cancelling it ends it.
 * 3. Its workflow is started under its id.
 * 4. Its timer is set, whose event also notices that the workflow was stopped while it makes the baseline.
 */
export async function beginCutover(
  request: NewCutover,
  given: { id: string; requestedBy: string },
  deps: CutoverDeps,
): Promise<CutoverRecord> {
  const { store, cutovers } = deps;
  const cutover = (await store.cutovers.find(given.id)) ?? (await admit(request, given, deps));
  if (!cutoverHasEnded(cutover)) {
    await cutovers.start(cutover.id, cutoverInput(cutover));
    await settleStart(cutover, deps);
  }
  const { sourceId, targetId, mode, windows, needsApproval, quiesce, restart } = cutover;
  await store.audit.addOnce({
    at: cutover.createdAt,
    actor: cutover.requestedBy,
    action: "cutover-created",
    subject: cutover.id,
    outcome: "done",
    details: { sourceId, targetId, mode, windows, needsApproval, quiesce, accept: restart?.accept },
  });
  return cutover;
}

/**
 * Throws the errors of `newCutover` and `bootImageForCutover`, `NotFoundError` and `ForbiddenError` if it may
 * not begin.
 */
async function admit(
  request: NewCutover,
  { id, requestedBy }: { id: string; requestedBy: string },
  deps: CutoverDeps,
): Promise<CutoverRecord> {
  const { store, clock } = deps;
  const { sourceId, targetId } = request;
  const target = requireServing(await store.agents.find(targetId), "target", targetId);
  const source = requireServing(await store.agents.find(sourceId), "source", sourceId);
  const found = source.planId === undefined ? undefined : await store.plans.find(source.planId);
  const plan = requireStandby(found, source, targetId);
  const lease = lapsedLease(await store.leases.get(sourceId), timestamp(clock));
  if (lease.state !== "none")
    throw new WrongStateError(
      `the machine of ${lease.ownerId} has the right to run in place of source ${sourceId}`,
      `\`causeway lease ${sourceId}\` shows who has it.`,
    );
  const given = { source, target, disks: plan.disks, requestedBy };
  const bootImage = await bootImageForCutover(request, given, deps);
  const cutover = newCutover(request, { id, source, target, plan, bootImage, requestedBy, now: clock.now() });
  const stale = await isStale(plan, deps);
  await store.plans.modify(plan.id, (one) => {
    if (one.cutoverId === undefined || one.cutoverId === id || (stale && one.cutoverId === plan.cutoverId))
      return withCutover(one, id);
    throw new WrongStateError(
      `cutover ${one.cutoverId} of source ${sourceId} has not ended`,
      `\`causeway cutover show ${one.cutoverId}\` shows it; \`causeway cutover cancel\` or \`rollback\` ends it.`,
    );
  });
  return store.cutovers.add(cutover);
}

/** Whether the plan's cutover has ended, or was never stored. */
async function isStale({ cutoverId }: PlanRecord, { store, clock }: CutoverDeps): Promise<boolean> {
  if (cutoverId === undefined) return true;
  const earlier = await store.cutovers.find(cutoverId);
  return earlier ? cutoverHasEnded(earlier) : clock.now() - timeOfId(cutoverId) > ABANDONED_AFTER_MS;
}
