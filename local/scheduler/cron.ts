import type { TimeZone } from "#shared/time-zone.ts";
import {
  CronSyntaxError,
  HOUR,
  MINUTE,
  MONTH,
  type Month,
  parseDaysOfMonth,
  parseDaysOfWeek,
  parseNumbers,
  YEAR,
} from "./cron-fields.ts";

/**
 * A cron expression of EventBridge Scheduler: minutes, hours, day of month, month, day of week, year. A time
 * that clocks skip when they are set forward is skipped; one that they show twice when set back counts once.
 */
export class Cron {
  readonly #minutes: number[];
  readonly #hours: number[];
  readonly #months: number[];
  readonly #years: number[];
  readonly #daysIn: (month: Month) => Set<number>;

  /** Throws `CronSyntaxError`. */
  constructor(expression: string) {
    const fields = expression.trim().split(/\s+/);
    const [minutes = "", hours = "", dayOfMonth = "", months = "", dayOfWeek = "", years = ""] = fields;
    if (fields.length !== 6) throw new CronSyntaxError("a cron expression has six fields");
    if ((dayOfMonth === "?") === (dayOfWeek === "?")) {
      throw new CronSyntaxError("one of day-of-month and day-of-week must be ?, and the other not");
    }
    this.#minutes = parseNumbers(minutes, MINUTE);
    this.#hours = parseNumbers(hours, HOUR);
    this.#months = parseNumbers(months, MONTH);
    this.#years = parseNumbers(years, YEAR);
    this.#daysIn = dayOfMonth === "?" ? parseDaysOfWeek(dayOfWeek) : parseDaysOfMonth(dayOfMonth);
  }

  /** The first time after `time` (both in milliseconds since 1970), if there is one. */
  next(time: number, zone: TimeZone): number | undefined {
    const from = zone.wallTime(time);
    for (const year of this.#years) {
      if (year < from.year) continue;
      for (const month of this.#months) {
        if (year === from.year && month < from.month) continue;
        const isFirstMonth = year === from.year && month === from.month;
        const days = [...this.#daysIn({ year, month })].sort((a, b) => a - b);
        for (const day of days) {
          if (isFirstMonth && day < from.day) continue;
          const firstHour = isFirstMonth && day === from.day ? from.hour : 0;
          const found = this.#nextOnDay({ year, month, day }, firstHour, time, zone);
          if (found !== undefined) return found;
        }
      }
    }
    return undefined;
  }

  #nextOnDay(
    date: { year: number; month: number; day: number },
    firstHour: number,
    after: number,
    zone: TimeZone,
  ): number | undefined {
    for (const hour of this.#hours) {
      if (hour < firstHour) continue;
      for (const minute of this.#minutes) {
        const time = zone.timesOf({ ...date, hour, minute, second: 0 })[0];
        if (time !== undefined && time > after) return time;
      }
    }
    return undefined;
  }
}
