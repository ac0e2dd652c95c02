/** Hours in which a plan's runs do not start. */
import type { WeeklyHours } from "../../protocol/weekly-hours.ts";
import type { TimeZone } from "../../time-zone.ts";
import { DAY_MINUTES, minutesInto, spanOf, type WeeklySpan, wallAt } from "./weekly-span.ts";

/**
 * The end of the blackout hours that contain this time (milliseconds since 1970). A time outside of them is
 * returned as it is.
 */
export function endOfBlackout(time: number, windows: readonly WeeklyHours[], zone: TimeZone): number {
  const spans = windows.map(spanOf);
  let end = time;
  for (let later = endOfSpan(end, spans, zone); later !== undefined; later = endOfSpan(end, spans, zone)) {
    end = later;
  }
  return end;
}

export function isBlackout(time: number, windows: readonly WeeklyHours[], zone: TimeZone): boolean {
  return endOfSpan(time, windows.map(spanOf), zone) !== undefined;
}

/** Whether these hours leave no minute of the week. */
export function isAlwaysBlackout(windows: readonly WeeklyHours[]): boolean {
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
function endOfSpan(time: number, spans: readonly WeeklySpan[], zone: TimeZone): number | undefined {
  const wall = zone.wallTime(time);
  for (const span of spans) {
    for (const since of minutesInto(span, wall)) {
      const minute = wall.hour * 60 + wall.minute;
      const end = zone.timeOf(wallAt(wall, minute - since + span.length), "last");
      if (end > time) return end;
    }
  }
  return undefined;
}
