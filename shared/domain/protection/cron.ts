import type { TimeZone } from "../../time-zone.ts";

interface Field {
  what: string;
  from: number;
  to: number;
  /** Names for the numbers, beginning with `from`. */
  names?: readonly string[];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const FIELDS: readonly Field[] = [
  { what: "minute", from: 0, to: 59 },
  { what: "hour", from: 0, to: 23 },
  { what: "day of month", from: 1, to: 31 },
  { what: "month", from: 1, to: 12, names: MONTHS },
  { what: "day of week", from: 0, to: 7, names: WEEKDAYS },
];

/** 29 February can be eight years away. */
const LONGEST_WAIT_DAYS = 9 * 366;
const DAY_MS = 86_400_000;

/**
 * A cron expression of five fields, as crontab(5) has it: minute, hour, day of month, month, day of week. If
 * both day fields are restricted, either may match. Each time on the clock runs once: in an hour that clocks
 * show twice the first time counts, and all times that they skip are the moment of the change.
 */
export class Cron {
  readonly #minutes: readonly number[];
  readonly #hours: readonly number[];
  readonly #days: ReadonlySet<number>;
  readonly #months: ReadonlySet<number>;
  readonly #weekdays: ReadonlySet<number>;
  readonly #eitherDay: boolean;

  /** Throws `CronSyntaxError`. */
  constructor(expression: string) {
    const fields = expression.trim().split(/\s+/);
    if (fields.length !== FIELDS.length) throw new CronSyntaxError("a cron expression has five fields");
    const [minutes = [], hours = [], days = [], months = [], weekdays = []] = FIELDS.map((field, index) =>
      numbersOf(fields[index] ?? "", field),
    );
    this.#minutes = minutes;
    this.#hours = hours;
    this.#days = new Set(days);
    this.#months = new Set(months);
    this.#weekdays = new Set(weekdays.map((weekday) => weekday % 7));
    this.#eitherDay = !fields[2]?.startsWith("*") && !fields[4]?.startsWith("*");
  }

  /** The first time after `time` (milliseconds since 1970); `undefined` if it never comes. */
  next(time: number, zone: TimeZone): number | undefined {
    const from = zone.wallTime(time);
    const firstDay = Date.UTC(from.year, from.month - 1, from.day);
    for (let day = 0; day < LONGEST_WAIT_DAYS; day++) {
      const date = new Date(firstDay + day * DAY_MS);
      if (!this.#runsOn(date)) continue;
      const found = this.#nextOn(date, day === 0 ? from.hour : 0, time, zone);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #runsOn(date: Date): boolean {
    if (!this.#months.has(date.getUTCMonth() + 1)) return false;
    const byDay = this.#days.has(date.getUTCDate());
    const byWeekday = this.#weekdays.has(date.getUTCDay());
    return this.#eitherDay ? byDay || byWeekday : byDay && byWeekday;
  }

  #nextOn(date: Date, firstHour: number, after: number, zone: TimeZone): number | undefined {
    const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
    for (const hour of this.#hours.filter((one) => one >= firstHour)) {
      for (const minute of this.#minutes) {
        const time = zone.timeOf({ year, month, day, hour, minute, second: 0 });
        if (time > after) return time;
      }
    }
    return undefined;
  }
}

export class CronSyntaxError extends Error {
  override readonly name = "CronSyntaxError";
}

/** What is wrong with the expression; `undefined` if it is right and comes true some day. */
export function findCronProblem(expression: string, zone: TimeZone, now: number): string | undefined {
  try {
    return new Cron(expression).next(now, zone) === undefined ? "this time never comes" : undefined;
  } catch (error) {
    if (error instanceof CronSyntaxError) return error.message;
    throw error;
  }
}

/** The numbers that a field names with `*`, numbers, names, `a-b`, `/step` and commas, in order. */
function numbersOf(text: string, field: Field): number[] {
  const numbers = new Set<number>();
  for (const part of text.split(",")) {
    const [, span = "", step = "1"] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(part) ?? wrong(field, text);
    const [from, to] = spanOf(span, field, part.includes("/"));
    if (Number(step) < 1) wrong(field, text);
    for (let number = from; number <= to; number += Number(step)) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

function spanOf(span: string, field: Field, hasStep: boolean): [number, number] {
  // Sunday is both 0 and 7, so `*` stops at 6.
  if (span === "*") return [field.from, field.to === 7 ? 6 : field.to];
  const [first = "", last, ...rest] = span.split("-");
  if (rest.length > 0) wrong(field, span);
  const from = numberOf(first, field);
  if (last === undefined) return [from, hasStep ? field.to : from];
  const to = numberOf(last, field, from);
  return to < from ? wrong(field, span) : [from, to];
}

/** `atLeast`: for the end of a range, because Sunday begins and ends a week. */
function numberOf(text: string, field: Field, atLeast = 0): number {
  const index = field.names?.findIndex(
    (name, at) => name === text.toLowerCase() && field.from + at >= atLeast,
  );
  if (index !== undefined && index >= 0) return field.from + index;
  const number = Number(text);
  if (!/^\d{1,2}$/.test(text) || number < field.from || number > field.to) wrong(field, text);
  return number;
}

function wrong({ what }: Field, text: string): never {
  throw new CronSyntaxError(`${text || "nothing"} is not a value for the ${what}`);
}
