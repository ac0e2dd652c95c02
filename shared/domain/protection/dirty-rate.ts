/** How much a plan's source changes, by the hours of the day. */
import * as z from "zod";

const HOUR_MS = 3_600_000;
const HOURS = 24;

/** What runs found changed within one hour of the clock. */
export const ChangedHour = z.object({
  /** Hours since 1970. */
  hour: z.int(),
  /** How much of the hour runs have covered, and what changed in it. */
  seconds: z.number(),
  bytes: z.number(),
});
export type ChangedHour = z.infer<typeof ChangedHour>;

/** Changed bytes per second in the hour that begins at `from`; `null` if no run covers any of it. */
export interface HourlyRate {
  from: string;
  bytesPerSecond: number | null;
}

/**
 * The hours with a run's changed bytes: it is not known when within its span they changed, so they are spread
 * over it evenly. Hours that are then more than a day old are dropped. Times are milliseconds since 1970.
 */
export function withChange(
  hours: readonly ChangedHour[],
  { from, to, bytes }: { from: number; to: number; bytes: number },
): ChangedHour[] {
  const last = Math.floor(to / HOUR_MS);
  const known = new Map(hours.map((each) => [each.hour, each]));
  for (let hour = Math.max(Math.floor(from / HOUR_MS), last - HOURS + 1); hour <= last; hour++) {
    const ms = Math.min(to, (hour + 1) * HOUR_MS) - Math.max(from, hour * HOUR_MS);
    if (ms <= 0) continue;
    const before = known.get(hour) ?? { hour, seconds: 0, bytes: 0 };
    const share = Math.round((bytes * ms) / (to - from));
    known.set(hour, { hour, seconds: before.seconds + ms / 1000, bytes: before.bytes + share });
  }
  return [...known.values()].filter(({ hour }) => hour > last - HOURS).sort((a, b) => a.hour - b.hour);
}

/** The rate in each of the last 24 hours, oldest first; the last one is the hour of `now`. */
export function hourlyRates(hours: readonly ChangedHour[], now: number): HourlyRate[] {
  const current = Math.floor(now / HOUR_MS);
  return Array.from({ length: HOURS }, (_, at) => {
    const hour = current - HOURS + 1 + at;
    const known = hours.find((each) => each.hour === hour);
    return {
      from: new Date(hour * HOUR_MS).toISOString(),
      bytesPerSecond: known && known.seconds > 0 ? Math.round(known.bytes / known.seconds) : null,
    };
  });
}

/**
 * How many bytes have changed between two times, estimated from the same hours of the day that runs covered
 * last; of hours that none covered, from the mean of the others. `undefined` if none is covered.
 */
export function estimateChange(
  hours: readonly ChangedHour[],
  { from, to }: { from: number; to: number },
): number | undefined {
  const covered = hours.filter(({ seconds }) => seconds > 0);
  if (covered.length === 0) return undefined;
  const rates = new Map(covered.map(({ hour, seconds, bytes }) => [hour % HOURS, bytes / seconds]));
  const mean = [...rates.values()].reduce((sum, rate) => sum + rate, 0) / rates.size;
  const rateOf = (hour: number) => rates.get(hour % HOURS) ?? mean;
  const days = Math.max(0, Math.floor((to - from) / (HOURS * HOUR_MS)));
  const perDay = Array.from({ length: HOURS }, (_, hour) => rateOf(hour) * 3600);
  let bytes = days * perDay.reduce((sum, rate) => sum + rate, 0);
  for (let at = from + days * HOURS * HOUR_MS; at < to; ) {
    const hour = Math.floor(at / HOUR_MS);
    const end = Math.min(to, (hour + 1) * HOUR_MS);
    bytes += (rateOf(hour) * (end - at)) / 1000;
    at = end;
  }
  return Math.round(bytes);
}
