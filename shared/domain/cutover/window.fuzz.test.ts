import fc from "fast-check";
import { expect, test } from "vitest";
import type { CutoverWindow } from "../../protocol/cutover-window.ts";
import { TimeZone } from "../../time-zone.ts";
import { nextOpening, openingAt, openingFrom } from "./window.ts";

const MINUTE_MS = 60_000;
/** Days with a change of clocks or a skipped day, and an ordinary one. */
const DAYS = [
  ["Europe/Berlin", "2027-03-28"],
  ["Europe/Berlin", "2027-10-31"],
  ["America/New_York", "2027-03-14"],
  ["America/New_York", "2027-11-07"],
  ["Australia/Lord_Howe", "2027-10-03"],
  ["Australia/Lord_Howe", "2027-04-04"],
  ["Pacific/Apia", "2011-12-30"],
  ["Pacific/Apia", "2027-06-05"],
] as const;
const MINUTES = 5 * 1440;

/** For each minute of five days around the day: its time, and what clocks show, sortable. */
function clocks(zone: string, day: string): { time: number; shown: string }[] {
  const inZone = new TimeZone(zone);
  const begin = Date.parse(day) - 2 * 86_400_000;
  return Array.from({ length: MINUTES }, (_, at) => {
    const time = begin + at * MINUTE_MS;
    const { year, month, day: date, hour, minute } = inZone.wallTime(time);
    const two = (part: number) => String(part).padStart(2, "0");
    return { time, shown: `${year}-${two(month)}-${two(date)}T${two(hour)}:${two(minute)}` };
  });
}

const shifted = (day: string, by: number) =>
  new Date(Date.parse(day) + by * 86_400_000).toISOString().slice(0, 10);
const timeOfDay = fc
  .tuple(fc.constantFrom("00", "01", "02", "03", "12", "22", "23"), fc.constantFrom("00", "15", "30", "59"))
  .map((parts) => parts.join(":"));
const windowsAround = (day: string, timeZone: string) =>
  fc.array(
    fc
      .record({
        first: fc.constantFrom(-1, 0),
        days: fc.integer({ min: 0, max: 1 }),
        from: timeOfDay,
        to: timeOfDay,
      })
      .map(({ first, days, from, to }) => ({
        ...{ firstDay: shifted(day, first), lastDay: shifted(day, first + days), from, to, timeZone },
      })),
    { minLength: 1, maxLength: 3 },
  );

/** Walks minute by minute, as a person with a clock would. */
function openMinutes(windows: readonly CutoverWindow[], minutes: ReturnType<typeof clocks>): boolean[] {
  const open = minutes.map(() => false);
  for (const { firstDay, lastDay = firstDay, from, to } of windows) {
    for (let day = firstDay; day <= lastDay; day = shifted(day, 1)) {
      const end = `${from < to ? day : shifted(day, 1)}T${to}`;
      let state: "before" | "open" | "over" = "before";
      for (const [at, { shown }] of minutes.entries()) {
        if (state === "before" && shown >= `${day}T${from}`) state = "open";
        if (state === "open" && shown >= end) state = "over";
        if (state === "open") open[at] = true;
      }
    }
  }
  return open;
}

test.each(DAYS)("in %s around %s, windows are open as a person with a clock finds them", (zone, day) => {
  const minutes = clocks(zone, day);
  fc.assert(
    fc.property(windowsAround(day, zone), fc.nat({ max: MINUTES - 1 }), (windows, at) => {
      const open = openMinutes(windows, minutes);
      const time = minutes[at]?.time ?? Number.NaN;
      const changes = (from: number, to: boolean) =>
        minutes.find((_, index) => index > from && open[index] === to && open[index - 1] === !to)?.time;
      const begins = minutes[open.lastIndexOf(false, at) + 1]?.time;
      const expected = open[at] ? { opensAt: begins, closesAt: changes(at, false) } : undefined;
      expect(openingAt(windows, time)).toEqual(expected);
      expect(nextOpening(windows, time)?.opensAt).toBe(changes(at, true));
      expect(openingFrom(windows, time)?.closesAt).toBe(changes(at, false));
    }),
    { numRuns: 30 },
  );
});
