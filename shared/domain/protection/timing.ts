/**
 * When a protection plan's runs are due. All times are milliseconds since 1970. The rules are in
 * docs/decisions/0076-a-plan-keeps-its-own-next-due-time.md, with their reasons.
 */
import type { WeeklyHours } from "../../protocol/weekly-hours.ts";
import { TimeZone } from "../../time-zone.ts";
import { endOfBlackout } from "./blackout.ts";
import { Cron } from "./cron.ts";

/** Runs every `intervalSeconds`, or at the times of `cron`: one of the two. */
export interface Timetable {
  intervalSeconds?: number | undefined;
  cron?: string | undefined;
  /** IANA name; of the cron expression and of the blackout hours. */
  timeZone: string;
  blackout: readonly WeeklyHours[];
}

/** Where a plan is in its timetable. */
export interface PlanPosition {
  /** A time from which intervals are counted. */
  anchor: number;
  /** The next time of the timetable. It is past if the run has not been claimed yet. */
  due: number;
}

/**
 * The position of a new plan. With a start time in the future, the first run is due then. Otherwise it is due
 * at once, or at the first time of the cron expression; intervals count from the start time, or, so that
 * plans without one do not all run together, from a point that `seed` chooses within the interval.
 */
export function firstPosition(
  timetable: Timetable,
  { startAt, seed, now }: { startAt: number | undefined; seed: number; now: number },
): PlanPosition {
  if (startAt !== undefined && startAt > now) return { anchor: startAt, due: startAt };
  const anchor = startAt ?? (seed % intervalOf(timetable)) * 1000;
  return { anchor, due: timetable.cron === undefined ? now : timeAfter(timetable, anchor, now) };
}

/** The position after the run that is due has been claimed. Of the times that have passed, it skips all. */
export function advanced(position: PlanPosition, timetable: Timetable, now: number): PlanPosition {
  const { anchor } = position;
  return { anchor, due: timeAfter(timetable, anchor, Math.max(now, position.due)) };
}

/** The position of a plan that was paused: it continues with the next time of its timetable. */
export function resumed(
  { anchor }: Pick<PlanPosition, "anchor">,
  timetable: Timetable,
  { startAt, now }: { startAt: number | undefined; now: number },
): PlanPosition {
  if (startAt !== undefined && startAt > now) return { anchor: startAt, due: startAt };
  return { anchor, due: timeAfter(timetable, anchor, now) };
}

/**
 * The position after an edit. A start time that is moved into the future makes a run then, and intervals
 * count from it; one in the past changes nothing. A new interval or cron expression takes effect after the
 * run that is already due.
 */
export function edited(
  position: PlanPosition,
  {
    before,
    after,
    startAt,
    now,
  }: {
    before: Timetable;
    after: Timetable;
    /** Only if it was edited. */
    startAt: number | undefined;
    now: number;
  },
): PlanPosition {
  if (startAt !== undefined && startAt > now) return { anchor: startAt, due: startAt };
  if (before.intervalSeconds === after.intervalSeconds) return position;
  return { ...position, anchor: dueTime(position, before) };
}

/** When the next run starts: the time that is due, or the end of the blackout hours that contain it. */
export function dueTime({ due }: PlanPosition, { blackout, timeZone }: Timetable): number {
  return blackout.length === 0 ? due : endOfBlackout(due, blackout, new TimeZone(timeZone));
}

/** More are not counted. */
const MOST_RUNS = 1000;

/**
 * How many runs have been due after `from` and up to `to`, at most 1000. Those in blackout hours count once,
 * at their end.
 */
export function runsDueBetween(
  timetable: Timetable,
  { anchor, from, to }: { anchor: number; from: number; to: number },
): number {
  let count = 0;
  for (let time = Math.max(from, anchor - 1); count < MOST_RUNS; count++) {
    time = dueTime({ anchor, due: timeAfter(timetable, anchor, time) }, timetable);
    if (time > to) break;
  }
  return count;
}

/** The first time of the timetable after `time`. */
function timeAfter(timetable: Timetable, anchor: number, time: number): number {
  const { cron, timeZone } = timetable;
  if (cron !== undefined) {
    const next = new Cron(cron).next(time, new TimeZone(timeZone));
    if (next === undefined) throw new RangeError(`the time of ${cron} never comes`);
    return next;
  }
  const interval = intervalOf(timetable) * 1000;
  return anchor + (Math.floor((time - anchor) / interval) + 1) * interval;
}

/** In seconds. */
function intervalOf({ intervalSeconds, cron }: Timetable): number {
  if (intervalSeconds !== undefined) return intervalSeconds;
  // A plan with a cron expression counts no intervals.
  if (cron !== undefined) return 1;
  throw new RangeError("a timetable has an interval or a cron expression");
}
