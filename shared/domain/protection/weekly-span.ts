/** Hours of the week in minutes. */
import type { WeeklyHours } from "../../protocol/weekly-hours.ts";
import type { WallTime } from "../../time-zone.ts";

const WEEKDAYS: NonNullable<WeeklyHours["days"]> = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const DAY_MS = 86_400_000;
export const DAY_MINUTES = 1440;

/** `length` minutes from `start` on each of the days. */
export interface WeeklySpan {
  /** From 0, a Sunday. */
  days: readonly number[];
  start: number;
  length: number;
}

export function spanOf({ from, to, days = WEEKDAYS }: WeeklyHours): WeeklySpan {
  const [start, end] = [minutesOf(from), minutesOf(to)];
  return {
    days: days.map((day) => WEEKDAYS.indexOf(day)),
    start,
    length: end > start ? end - start : end + DAY_MINUTES - start,
  };
}

/**
 * For how many minutes the span has lasted when clocks show this. One number if it contains that time, two if
 * both yesterday's and today's do, none if neither does.
 */
export function minutesInto({ days, start, length }: WeeklySpan, wall: WallTime): number[] {
  const minute = wall.hour * 60 + wall.minute;
  return [0, 1]
    .filter((daysBack) => days.includes(weekdayOf(wall, daysBack)))
    .map((daysBack) => minute + daysBack * DAY_MINUTES - start)
    .filter((since) => since >= 0 && since < length);
}

/** What clocks show `minutes` after the beginning of the day, if they are not changed meanwhile. */
export function wallAt(
  { year, month, day }: Pick<WallTime, "year" | "month" | "day">,
  minutes: number,
): WallTime {
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

function minutesOf(timeOfDay: string): number {
  const [hours, minutes] = timeOfDay.split(":").map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}

function weekdayOf({ year, month, day }: WallTime, daysBack: number): number {
  return new Date(Date.UTC(year, month - 1, day) - daysBack * DAY_MS).getUTCDay();
}
