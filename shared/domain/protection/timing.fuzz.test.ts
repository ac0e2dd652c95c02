import fc from "fast-check";
import { expect, test } from "vitest";
import { WeeklyHours } from "../../protocol/weekly-hours.ts";
import { TimeZone } from "../../time-zone.ts";
import { endOfBlackout, isAlwaysBlackout, isBlackout } from "./blackout.ts";
import { Cron } from "./cron.ts";
import { advanced, dueTime, edited, firstPosition, type Timetable } from "./timing.ts";

const zones = [
  "UTC",
  "Europe/Vienna",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "Pacific/Apia",
];
const zone = fc.constantFrom(...zones);
const YEARS = { min: Date.UTC(2010, 0, 1), max: Date.UTC(2035, 0, 1) };
const minute = fc
  .integer({ min: YEARS.min / 60_000, max: YEARS.max / 60_000 })
  .map((count) => count * 60_000);
const timeOfDay = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map((parts) => parts.map((part) => String(part).padStart(2, "0")).join(":"));
const window = fc
  .record(
    {
      from: timeOfDay,
      to: timeOfDay,
      days: fc.subarray(["mon", "wed", "sat", "sun"] as const, { minLength: 1 }),
    },
    { requiredKeys: ["from", "to"] },
  )
  .map((value) => WeeklyHours.parse(value));
const blackout = fc.array(window, { maxLength: 4 }).filter((windows) => !isAlwaysBlackout(windows));
const cron = fc
  .tuple(
    fc.constantFrom("0", "*/15", "30", "5,50"),
    fc.constantFrom("*", "2", "0-3", "*/7"),
    fc.constantFrom("*", "1", "29", "*/10"),
    fc.constantFrom("*", "3,10,11", "2"),
    fc.constantFrom("*", "sun", "1-5"),
  )
  .map((fields) => fields.join(" "));
const timetable: fc.Arbitrary<Timetable> = fc.oneof(
  fc.record({
    intervalSeconds: fc.integer({ min: 1, max: 43_200 }).map((minutes) => minutes * 60),
    timeZone: zone,
    blackout,
  }),
  fc.record({ cron, timeZone: zone, blackout }),
);
const seed = fc.nat();

test("what clocks show at a time is shown at that time, or twice within a day", () => {
  fc.assert(
    fc.property(minute, zone, (time, name) => {
      const inZone = new TimeZone(name);
      const wall = inZone.wallTime(time);
      expect([inZone.timeOf(wall, "first"), inZone.timeOf(wall, "last")]).toContain(time);
    }),
  );
});

test.each([
  [
    "Europe/Vienna",
    "2030-03-31T00:00:00Z",
    "15,45 2 * * *",
    ["2030-03-31T01:00:00Z", "2030-04-01T00:15:00Z"],
  ],
  ["Europe/Vienna", "2030-10-26T22:00:00Z", "30 2 * * *", ["2030-10-27T00:30:00Z", "2030-10-28T01:30:00Z"]],
  ["Pacific/Apia", "2011-12-29T12:00:00Z", "0 6,18 * * *", ["2011-12-29T16:00:00Z", "2011-12-30T04:00:00Z"]],
])("in %s, times that fall into a change of clocks run once", (name, from, expression, expected) => {
  const inZone = new TimeZone(name);
  const times: string[] = [];
  for (let time = Date.parse(from); times.length < expected.length; ) {
    time = new Cron(expression).next(time, inZone) ?? Number.NaN;
    times.push(new Date(time).toISOString().replace(".000", ""));
  }
  expect(times).toEqual(expected);
});

test("a plan's runs are in the future of each other, and never in blackout hours", () => {
  fc.assert(
    fc.property(
      timetable,
      fc.option(minute, { nil: undefined }),
      seed,
      minute,
      (table, startAt, plan, now) => {
        const inZone = new TimeZone(table.timeZone);
        let position = firstPosition(table, { startAt, seed: plan, now });
        let last = now - 1;
        for (let run = 0; run < 5; run++) {
          const due = dueTime(position, table);
          expect(due).toBeGreaterThan(last);
          expect(isBlackout(due, table.blackout, inZone)).toBe(false);
          last = due;
          position = advanced(position, table, due);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("however late a run is claimed, the next one is later than that, by one interval at most", () => {
  fc.assert(
    fc.property(timetable, seed, minute, fc.nat({ max: 10 ** 10 }), (table, plan, now, late) => {
      const first = firstPosition(table, { startAt: undefined, seed: plan, now });
      const claimedAt = dueTime(first, table) + late;
      const next = advanced(first, table, claimedAt);
      expect(next.due).toBeGreaterThan(claimedAt);
      if (table.intervalSeconds !== undefined)
        expect(next.due - claimedAt).toBeLessThanOrEqual(table.intervalSeconds * 1000);
    }),
    { numRuns: 60 },
  );
});

test("an edit without a new start time leaves the run that is due where it is", () => {
  fc.assert(
    fc.property(timetable, timetable, seed, minute, (before, other, plan, now) => {
      const after = { ...other, blackout: before.blackout, timeZone: before.timeZone };
      const position = firstPosition(before, { startAt: undefined, seed: plan, now });
      const changed = edited(position, { before, after, startAt: undefined, now });
      expect(dueTime(changed, after)).toBe(dueTime(position, before));
    }),
    { numRuns: 60 },
  );
});

test("the end of blackout hours is the first minute after them, unless clocks are set back there", () => {
  fc.assert(
    fc.property(blackout, minute, (windows, time) => {
      const utc = new TimeZone("UTC");
      const end = endOfBlackout(time, windows, utc);
      for (let step = time; step < Math.min(end, time + 3 * 86_400_000); step += 60_000)
        expect(isBlackout(step, windows, utc)).toBe(true);
      expect(isBlackout(end, windows, utc)).toBe(false);
    }),
    { numRuns: 20 },
  );
});
