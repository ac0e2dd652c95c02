/** When a protection plan's newest recovery point is drilled. All times are milliseconds since 1970. */
import type { DrillSchedule } from "../../protocol/drill.ts";
import type { PlanState } from "../../protocol/protection.ts";
import { TimeZone } from "../../time-zone.ts";
import { Cron } from "./cron.ts";
import { timeInId } from "./time-id.ts";

/** What the times of drills depend on. */
export interface Drilled {
  state: PlanState;
  timeZone: string;
  drills?: DrillSchedule | undefined;
  /** Absent unless the plan is active and has drills. */
  drillDueAt?: string | undefined;
  lastDrillId?: string | undefined;
}

/**
 * The id of the drill that a plan's schedule begins at this time: of two ticks, the second finds the drill of
 * the first.
 */
export function drillIdOf(planId: string, dueAt: number): string {
  return `drl_${timeInId(dueAt)}${planId.slice(planId.indexOf("_") + 1)}`;
}

/** The plan with the first time of its drills after `now`; without one if it has none, or is not active. */
export function withNextDrill<T extends Drilled>(plan: T, now: number): T {
  const { drillDueAt: _, ...rest } = plan;
  const { state, drills, timeZone } = plan;
  if (state !== "active" || !drills) return rest as T;
  const next = new Cron(drills.cron).next(now, new TimeZone(timeZone));
  return next === undefined ? (rest as T) : { ...plan, drillDueAt: new Date(next).toISOString() };
}

/** Whether this tick of the scheduler is for the drill that is due, or for a later one. */
export function isDrillDue({ drillDueAt }: Drilled, dueAt: number): boolean {
  return drillDueAt !== undefined && dueAt >= Date.parse(drillDueAt);
}

/**
 * The plan after the drill that was due has begun; without `drillId`, after it could not. Of the times that
 * have passed, it skips all.
 */
export function afterDrill<T extends Drilled>(
  plan: T,
  { dueAt, drillId, now }: { dueAt: number; drillId: string | undefined; now: number },
): T {
  // The scheduler's clock may be ahead of ours.
  const moved = withNextDrill(plan, Math.max(now, dueAt));
  return drillId === undefined ? moved : { ...moved, lastDrillId: drillId };
}

const LOST_AFTER_MS = 3600_000;

/** Whether the scheduler has probably lost a drill: its calls are repeated for less than this. */
export function isDrillLost({ drillDueAt }: Drilled, now: number): boolean {
  return drillDueAt !== undefined && now - Date.parse(drillDueAt) > LOST_AFTER_MS;
}
