/** Hours of the week, by the clocks of a plan's time zone. */
import * as z from "zod";
import { isTimeZone } from "../time-zone.ts";

const TIME_OF_DAY = /^([01]\d|2[0-3]):[0-5]\d$/;

/** `example` is for the message. */
export function timeOfDay(example: string) {
  return z.string().regex(TIME_OF_DAY, `a time of day such as ${example}`);
}

/**
 * They begin on the named days, on every day if none is named, and may pass midnight; if `from` and `to` are
 * the same, they last 24 hours.
 */
export const WeeklyHours = z.strictObject({
  from: timeOfDay("08:00"),
  to: timeOfDay("18:00"),
  days: z
    .array(z.enum(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]))
    .min(1)
    .max(7)
    .optional(),
});
export type WeeklyHours = z.infer<typeof WeeklyHours>;

/** More than a window for the morning, noon and evening of each day. */
export const MAX_WINDOWS = 21;

export const TimeZoneName = z.string().max(64).refine(isTimeZone, "an IANA time zone such as Europe/Vienna");

/** Hours in which a plan's uploads have a limit of their own; `null`: none. */
export const BandwidthWindow = WeeklyHours.extend({ bytesPerSecond: z.int().positive().nullable() });
export type BandwidthWindow = z.infer<typeof BandwidthWindow>;

/** Of two windows that overlap, the earlier in the list counts. */
export const BandwidthHours = z.object({
  timeZone: TimeZoneName,
  windows: z.array(BandwidthWindow).min(1).max(MAX_WINDOWS),
});
export type BandwidthHours = z.infer<typeof BandwidthHours>;
