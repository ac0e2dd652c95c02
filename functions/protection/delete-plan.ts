import { unprotected } from "#shared/domain/agent.ts";
import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import type { DeletionScope, PlanDeletion } from "#shared/protocol/protection.ts";
import type { PruneMarks } from "../ports.ts";
import { stopRun } from "./abandon-run.ts";
import type { ProtectionDeps } from "./deps.ts";
import { forgetStandbyOf, imagesOf } from "./forget-standby.ts";
import { prunePoints } from "./prune.ts";
import { runOnSource } from "./run-on-source.ts";

export interface DeletionDeps extends ProtectionDeps {
  marks: PruneMarks;
}

type Scope = Pick<DeletionScope, "points" | "standby">;
/** What goes with a plan, or has gone. */
type Parts = Pick<PlanDeletion, "points" | "standby" | "waitsFor">;

/** What would go if the plan were deleted now. */
export async function foreseenDeletion(
  plan: PlanRecord,
  { points, standby }: Scope,
  deps: DeletionDeps,
): Promise<Parts> {
  const run = await runOnSource(plan, deps);
  return {
    points: points === "prune" ? await pointsOf(plan, deps) : [],
    standby: standby === "forget" ? await imagesOf(plan, deps) : null,
    waitsFor: run?.id ?? null,
  };
}

/**
 * Ends what a deleted plan still does, and removes what the operator asked for. Nothing is removed while its
 * run is being stopped: that may still make a point, or write the standby. Each part may be repeated, so a
 * later call with the same scope does what this one leaves.
 */
export async function finishDeletion(
  plan: PlanRecord,
  { points, standby }: Scope,
  actor: string,
  deps: DeletionDeps,
): Promise<Parts> {
  const running = await runOnSource(plan, deps);
  if (running) await stopRun(running.id, deps);
  await deps.store.agents.modify(plan.sourceId, (source) => unprotected(source, plan.id));
  const parts: Parts = { points: [], standby: null, waitsFor: null };
  if (points === "keep" && standby === "keep") return parts;
  const stopping = await runOnSource(plan, deps);
  if (stopping) return { ...parts, waitsFor: stopping.id };
  const pointIds = points === "prune" ? await pointsOf(plan, deps) : [];
  if (points === "prune") {
    const why = `plan ${plan.id} was deleted with its points`;
    await prunePoints({ sourceId: plan.sourceId, pointIds, actor, why }, deps);
  }
  return {
    ...parts,
    points: pointIds,
    standby: standby === "forget" ? await forgetStandbyOf(plan, actor, deps) : null,
  };
}

/** The points that this plan's runs made. Those of conversions and of other plans are not among them. */
async function pointsOf({ id, sourceId }: PlanRecord, { store }: DeletionDeps): Promise<string[]> {
  const points = await store.points.ofSource(sourceId);
  return points
    .filter(({ planId, prunedAt }) => planId === id && prunedAt === undefined)
    .map((point) => point.id);
}
