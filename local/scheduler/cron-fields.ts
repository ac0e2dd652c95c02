/** The days of one month on which a day field may fall. */
export interface Month {
  year: number;
  /** From 1. */
  month: number;
}

export class CronSyntaxError extends Error {
  override readonly name = "CronSyntaxError";
}

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const SATURDAY = 7;

interface Range {
  what: string;
  from: number;
  to: number;
  /** Names for the numbers, beginning with `from`. */
  names?: string[];
}

export const MINUTE: Range = { what: "minutes", from: 0, to: 59 };
export const HOUR: Range = { what: "hours", from: 0, to: 23 };
export const MONTH: Range = { what: "month", from: 1, to: 12, names: MONTHS };
export const YEAR: Range = { what: "year", from: 1970, to: 2199 };
const DAY_OF_MONTH: Range = { what: "day-of-month", from: 1, to: 31 };
const DAY_OF_WEEK: Range = { what: "day-of-week", from: 1, to: 7, names: WEEKDAYS };

/** The numbers that a field names with `*`, numbers, names, `a-b`, `/step` and commas, in order. */
export function parseNumbers(text: string, range: Range): number[] {
  const numbers = new Set<number>();
  for (const part of text.split(",")) {
    const [, span = "", step] = /^([^/]+)(?:\/(\d+))?$/.exec(part) ?? fail(range, text);
    const [from, to] = parseSpan(span, range, step !== undefined);
    const stride = Number(step ?? 1);
    if (stride < 1) fail(range, text);
    for (let number = from; number <= to; number += stride) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

/**
 * Which days of a month a day-of-month field names; also `L` (the last), `15W` (the working day next to the
 * 15th) and `LW`.
 */
export function parseDaysOfMonth(text: string): (month: Month) => Set<number> {
  const parts = text.split(",").map((part): ((month: Month) => number[]) => {
    if (part === "L") return (month) => [lengthOf(month)];
    if (part === "LW") return (month) => [workingDayNear(lengthOf(month), month)];
    const near = /^(\d+)W$/.exec(part)?.[1];
    if (near === undefined) {
      const days = parseNumbers(part, DAY_OF_MONTH);
      return () => days;
    }
    const day = parseNumber(near, DAY_OF_MONTH);
    return (month) => (day <= lengthOf(month) ? [workingDayNear(day, month)] : []);
  });
  return (month) => new Set(parts.flatMap((days) => days(month)));
}

/**
 * Which days of a month a day-of-week field names; also `6L` (the last Friday) and `6#2` (the second Friday).
 */
export function parseDaysOfWeek(text: string): (month: Month) => Set<number> {
  const parts = text.split(",").map((part): ((month: Month) => number[]) => {
    const [, special, last, nth] = /^(\w+?)(?:(L)|#([1-5]))$/.exec(part) ?? [];
    if (part === "L") return (month) => allOf(SATURDAY, month);
    if (special === undefined) {
      const weekdays = parseNumbers(part, DAY_OF_WEEK);
      return (month) => weekdays.flatMap((weekday) => allOf(weekday, month));
    }
    const weekday = parseNumber(special, DAY_OF_WEEK);
    const index = last ? -1 : Number(nth) - 1;
    return (month) => [allOf(weekday, month).at(index)].filter((day) => day !== undefined);
  });
  return (month) => new Set(parts.flatMap((days) => days(month)));
}

function parseSpan(span: string, range: Range, hasStep: boolean): [number, number] {
  if (span === "*") return [range.from, range.to];
  const [first = "", last, ...rest] = span.split("-");
  if (rest.length > 0) fail(range, span);
  const from = parseNumber(first, range);
  if (last === undefined) return [from, hasStep ? range.to : from];
  const to = parseNumber(last, range);
  if (to < from) fail(range, span);
  return [from, to];
}

function parseNumber(text: string, range: Range): number {
  const named = range.names?.indexOf(text.toUpperCase()) ?? -1;
  if (named >= 0) return range.from + named;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < range.from || number > range.to) fail(range, text);
  return number;
}

function fail({ what }: Range, text: string): never {
  throw new CronSyntaxError(`${text} is not a value for ${what}`);
}

function lengthOf({ year, month }: Month): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** From 1, a Sunday. */
function weekdayOf(day: number, { year, month }: Month): number {
  return new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 1;
}

function allOf(weekday: number, month: Month): number[] {
  const days = Array.from({ length: lengthOf(month) }, (_, index) => index + 1);
  return days.filter((day) => weekdayOf(day, month) === weekday);
}

/** Stays within the month. */
function workingDayNear(day: number, month: Month): number {
  const weekday = weekdayOf(day, month);
  if (weekday === SATURDAY) return day === 1 ? 3 : day - 1;
  if (weekday === 1) return day === lengthOf(month) ? day - 2 : day + 1;
  return day;
}
