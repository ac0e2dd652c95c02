import {
  formatRetention,
  keep,
  type RecordedPoint,
  type Retention,
  type Verdict,
} from "#shared/domain/protection/retention.ts";
import { timestamp } from "../conversion/deps.ts";
import type { Clock, PruneMarks } from "../ports.ts";
import type { Store } from "../store/store.ts";

export interface PruneDeps {
  store: Pick<Store, "points" | "audit">;
  marks: PruneMarks;
  clock: Clock;
}

export interface PruneOrder {
  sourceId: string;
  plan: {
    id: string;
    retention: Retention;
    /** IANA name: whose hours, days, weeks and months count. */
    timeZone: string;
  };
  /** The points that a clone, a standby or a drill still reads. */
  pinned: ReadonlySet<string>;
  /** Who asked for it: a user, or `causeway`. */
  actor: string;
}

/**
 * Judges the recorded points of a source by the retention of a plan, newest first. Points that were pruned
 * before are not among them.
 */
export async function judgeByRetention(
  { sourceId, plan, pinned }: Omit<PruneOrder, "actor">,
  { store, clock }: Pick<PruneDeps, "store" | "clock">,
): Promise<Verdict[]> {
  const points = (await store.points.ofSource(sourceId))
    .filter(({ prunedAt }) => prunedAt === undefined)
    .map(
      ({ id, createdAt, planId }): RecordedPoint => ({
        id,
        createdAt,
        ofPlan: planId === plan.id,
        pinned: pinned.has(id),
      }),
    );
  return keep(points, plan.retention, plan.timeZone, clock.now());
}

/**
 * Prunes the points that the plan's retention does not keep, and returns how each point was judged. It is for
 * the end of every run. Repeating it, or two at once, prunes nothing more.
 */
export async function pruneByRetention(order: PruneOrder, deps: PruneDeps): Promise<Verdict[]> {
  const verdicts = await judgeByRetention(order, deps);
  const pruned = verdicts.filter(({ keptBy }) => keptBy.length === 0).map(({ id }) => id);
  await prunePoints({ ...order, pointIds: pruned, why: formatRetention(order.plan.retention) }, deps);
  return verdicts;
}

/**
 * Prunes these points of a source: their records say so, then the repository has their marks. A crash leaves
 * a record without a mark; the next call for the source marks it, whichever points that call names. Points
 * with a mark are readable for a week and then collected.
 */
export async function prunePoints(
  order: { sourceId: string; pointIds: readonly string[]; actor: string; why: string },
  { store, marks, clock }: PruneDeps,
): Promise<void> {
  const { sourceId, actor, why } = order;
  const points = await store.points.ofSource(sourceId);
  const named = points.filter(({ id, markedAt }) => order.pointIds.includes(id) && markedAt === undefined);
  // The decision first: a point must never be marked while its record says that it stays.
  for (const { id } of named) await store.points.prune(id, timestamp(clock));
  const unfinished = points.filter(
    ({ prunedAt, markedAt }) => prunedAt !== undefined && markedAt === undefined,
  );
  for (const id of new Set([...named, ...unfinished].map((point) => point.id))) {
    await marks.mark(sourceId, id);
    const at = timestamp(clock);
    if (!(await store.points.noteMark(id, at))) continue;
    const entry = { at, actor, action: "recovery-point-pruned", subject: id, outcome: "done" as const };
    await store.audit.addOnce({ ...entry, details: { sourceId, retention: why } });
  }
}
