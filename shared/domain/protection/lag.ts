/** How far a plan's newest recovery point is behind, and when that is too far. */
import type { LagState, PlanState } from "../../protocol/protection.ts";
import { TimeZone } from "../../time-zone.ts";
import { endOfBlackout, isBlackout } from "./blackout.ts";
import { advanced, dueTime, type PlanPosition, type Timetable } from "./timing.ts";

/** What a plan's lag depends on. */
interface Lagging extends Timetable {
  state: PlanState;
  /** If no run has made a recovery point by then, the plan is late. */
  lateAt?: string | undefined;
  /** The newest recovery point; what it holds is at least as new as `heldAt`. */
  lastPoint?: { heldAt: string } | undefined;
}

/** A run that is due may start a minute late, and needs some time. */
const MARGIN_MS = 5 * 60_000;

/**
 * When a plan is late, in milliseconds since 1970: if the run that is due next has made no recovery point
 * although the one after it was due five minutes ago. Blackout hours put it off to their end.
 */
export function lateTime(position: PlanPosition, timetable: Timetable): number {
  const following = advanced(position, timetable, dueTime(position, timetable));
  const late = dueTime(following, timetable) + MARGIN_MS;
  return endOfBlackout(late, timetable.blackout, new TimeZone(timetable.timeZone));
}

/**
 * When the plan's watch looks whether it is late, in milliseconds since 1970: once it would be, outside of
 * blackout hours. `undefined` if no point is promised.
 */
export function watchTime({ state, lateAt, blackout, timeZone }: Lagging): number | undefined {
  if (state !== "active" || lateAt === undefined) return undefined;
  return endOfBlackout(Date.parse(lateAt) + 1, blackout, new TimeZone(timeZone));
}

export function lagOf(plan: Lagging, now: number): { lagSeconds: number | null; lag: LagState } {
  const { lastPoint } = plan;
  const lagSeconds = lastPoint ? Math.max(0, Math.round((now - Date.parse(lastPoint.heldAt)) / 1000)) : null;
  return { lagSeconds, lag: lagState(plan, now) };
}

function lagState({ state, lateAt, lastPoint, blackout, timeZone }: Lagging, now: number): LagState {
  if (state !== "active" || isBlackout(now, blackout, new TimeZone(timeZone))) return "suspended";
  if (lateAt !== undefined && now > Date.parse(lateAt)) return "late";
  return lastPoint ? "protected" : "waiting";
}
