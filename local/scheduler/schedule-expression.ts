import { TimeZone } from "#shared/time-zone.ts";
import { AwsError } from "../core/aws-error.ts";
import { Cron } from "./cron.ts";
import { CronSyntaxError } from "./cron-fields.ts";

/** When a schedule fires. All times are milliseconds since 1970. */
export interface Timetable {
  /** True for `at()`. */
  isOnce: boolean;
  /** The first time after `time`; a rate counts from `anchor`, its own first time. */
  next(time: number, anchor: number): number | undefined;
}

const UNIT_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/** Reads `at(…)`, `rate(…)` or `cron(…)`. Throws `ValidationException`. */
export function parseExpression(expression: string, timeZone: string): Timetable {
  const zone = parseTimeZone(timeZone);
  const [, kind, inner = ""] = /^(at|rate|cron)\((.*)\)$/.exec(expression) ?? [];
  if (kind === "at") return once(parseAt(inner, zone) ?? invalid(expression));
  if (kind === "rate") return every(parseRate(inner) ?? invalid(expression));
  if (kind !== "cron") return invalid(expression);
  try {
    const cron = new Cron(inner);
    return { isOnce: false, next: (time) => cron.next(time, zone) };
  } catch (error) {
    if (error instanceof CronSyntaxError) return invalid(expression, error);
    throw error;
  }
}

function once(at: number): Timetable {
  return { isOnce: true, next: (time) => (at > time ? at : undefined) };
}

function every(intervalMs: number): Timetable {
  return {
    isOnce: false,
    next(time, anchor) {
      const intervals = Math.max(0, Math.floor((time - anchor) / intervalMs) + 1);
      return anchor + intervals * intervalMs;
    },
  };
}

function parseAt(text: string, zone: TimeZone): number | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)$/.exec(text);
  if (!match) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  return zone.timesOf({ year, month, day, hour, minute, second })[0];
}

function parseRate(text: string): number | undefined {
  const [, value, unit] = /^([1-9]\d*) (minute|hour|day)s?$/.exec(text) ?? [];
  if (value === undefined || unit === undefined) return undefined;
  return Number(value) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

function parseTimeZone(name: string): TimeZone {
  try {
    return new TimeZone(name);
  } catch (cause) {
    throw new AwsError("ValidationException", `Invalid Schedule Expression Timezone ${name}.`, 400, {
      cause,
    });
  }
}

function invalid(expression: string, cause?: CronSyntaxError): never {
  const why = cause ? ` (${cause.message})` : "";
  throw new AwsError("ValidationException", `Invalid Schedule Expression ${expression}.${why}`, 400, {
    cause,
  });
}
