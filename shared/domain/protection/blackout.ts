/** Hours in which a plan's runs do not start. */
import type { BlackoutWindow } from "../../protocol/protection.ts";
import type { TimeZone, WallTime } from "../../time-zone.ts";

const WEEKDAYS: NonNullable<BlackoutWindow["days"]> = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const DAY_MINUTES = 1440;
const DAY_MS = 86_400_000;

/** A window in minutes: `length` minutes from `start` on each of the days. */
interface Span {
  /** From 0, a Sunday. */
  days: readonly number[];
  start: number;
  length: number;
}

/**
 * The end of the blackout hours that contain this time (milliseconds since 1970). A time outside of them is
 * returned as it is.
 */
export function endOfBlackout(time: number, windows: readonly BlackoutWindow[], zone: TimeZone): number {
  const spans = windows.map(spanOf);
  let end = time;
  for (let later = endOfSpan(end, spans, zone); later !== undefined; later = endOfSpan(end, spans, zone)) {
    end = later;
  }
  return end;
}

export function isBlackout(time: number, windows: readonly BlackoutWindow[], zone: TimeZone): boolean {
  return endOfSpan(time, windows.map(spanOf), zone) !== undefined;
}

/** Whether these hours leave no minute of the week. */
export function isAlwaysBlackout(windows: readonly BlackoutWindow[]): boolean {
  const dark = new Set<number>();
  for (const { days, start, length } of windows.map(spanOf)) {
    for (const day of days) {
      for (let minute = 0; minute < length; minute++) {
        dark.add((day * DAY_MINUTES + start + minute) % (7 * DAY_MINUTES));
      }
    }
  }
  return dark.size === 7 * DAY_MINUTES;
}

/** When the span that contains the time ends; `undefined` if none contains it. Later than the time. */
function endOfSpan(time: number, spans: readonly Span[], zone: TimeZone): number | undefined {
  const wall = zone.wallTime(time);
  const minute = wall.hour * 60 + wall.minute;
  for (const { days, start, length } of spans) {
    // It begins today or began yesterday.
    for (const daysBack of [0, 1]) {
      const since = minute + daysBack * DAY_MINUTES - start;
      if (since < 0 || since >= length || !days.includes(weekdayOf(wall, daysBack))) continue;
      const end = zone.timeOf(wallAt(wall, start + length - daysBack * DAY_MINUTES), "last");
      if (end > time) return end;
    }
  }
  return undefined;
}

function spanOf({ from, to, days = WEEKDAYS }: BlackoutWindow): Span {
  const [start, end] = [minutesOf(from), minutesOf(to)];
  return {
    days: days.map((day) => WEEKDAYS.indexOf(day)),
    start,
    length: end > start ? end - start : end + DAY_MINUTES - start,
  };
}

function minutesOf(timeOfDay: string): number {
  const [hours, minutes] = timeOfDay.split(":").map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}

function weekdayOf({ year, month, day }: WallTime, daysBack: number): number {
  return new Date(Date.UTC(year, month - 1, day) - daysBack * DAY_MS).getUTCDay();
}

/** `minutes` after the beginning of the day. */
function wallAt({ year, month, day }: WallTime, minutes: number): WallTime {
  const date = new Date(Date.UTC(year, month - 1, day) + minutes * 60_000);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: 0,
  };
}
