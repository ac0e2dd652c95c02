/** When a cutover may happen, by the clocks of a time zone. */
import * as z from "zod";
import { TimeZoneName, timeOfDay } from "./weekly-hours.ts";

const FIRST_DATE = "2000-01-01";
const LAST_DATE = "2199-12-31";
const DAY_MS = 86_400_000;
const MOST_DAYS = 92;
const MOST_WINDOWS = 10;

const CalendarDate = z.iso
  .date("a date such as 2027-03-28")
  .refine((date) => date >= FIRST_DATE && date <= LAST_DATE, `a date from ${FIRST_DATE} to ${LAST_DATE}`);

/**
 * Hours of one day, or of each day from `firstDay` to `lastDay`. If `to` is not later than `from`, they end
 * on the next day; if both are the same, they last a day.
 */
export const CutoverWindow = z
  .strictObject({
    firstDay: CalendarDate,
    /** The last day on which it opens; `firstDay` if absent. */
    lastDay: CalendarDate.optional(),
    from: timeOfDay("22:00"),
    to: timeOfDay("02:00"),
    timeZone: TimeZoneName,
  })
  .superRefine(({ firstDay, lastDay = firstDay }, context) => {
    const days = (Date.parse(lastDay) - Date.parse(firstDay)) / DAY_MS + 1;
    const problem =
      days < 1
        ? `${lastDay} is before the first day, ${firstDay}`
        : days > MOST_DAYS
          ? `a window has at most ${MOST_DAYS} days, and this one has ${days}`
          : undefined;
    if (problem !== undefined) context.addIssue({ code: "custom", path: ["lastDay"], message: problem });
  });
export type CutoverWindow = z.infer<typeof CutoverWindow>;

/** Hours that several windows name count once. */
export const CutoverWindows = z
  .array(CutoverWindow)
  .min(1, "at least one window")
  .max(MOST_WINDOWS, `at most ${MOST_WINDOWS} windows`);
export type CutoverWindows = z.infer<typeof CutoverWindows>;
