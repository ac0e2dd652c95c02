import fc from "fast-check";
import { expect, test } from "vitest";
import { type BandwidthWindow, BandwidthWindow as Schema } from "../../protocol/weekly-hours.ts";
import { TimeZone } from "../../time-zone.ts";
import { bandwidthAt } from "./bandwidth.ts";

const zones = ["UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
const DAY_MINUTES = 1440;
const WEEK_MINUTES = 7 * DAY_MINUTES;

const timeOfDay = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map((parts) => parts.map((part) => String(part).padStart(2, "0")).join(":"));
const window = fc
  .record(
    {
      ...{ from: timeOfDay, to: timeOfDay, days: fc.subarray([...DAYS], { minLength: 1 }) },
      bytesPerSecond: fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 1000 })),
    },
    { requiredKeys: ["from", "to", "bytesPerSecond"] },
  )
  .map((value) => Schema.parse(value));
const windows = fc.array(window, { maxLength: 4 });
const YEARS = { min: Date.UTC(2010, 0, 1), max: Date.UTC(2035, 0, 1) };
/** Anywhere, and around the changes of clocks in spring and autumn. */
const time = fc.oneof(
  fc.integer(YEARS),
  fc
    .tuple(fc.integer({ min: 2010, max: 2034 }), fc.constantFrom(2, 3, 9, 10), fc.nat(36 * DAY_MINUTES))
    .map(([year, month, minutes]) => Date.UTC(year, month, 1) + minutes * 60_000),
);

/** The limit of each minute of a week, painted from the last window to the first. */
function week(of: readonly BandwidthWindow[], otherwise: number | undefined): (number | undefined)[] {
  const limits = Array.from<number | undefined>({ length: WEEK_MINUTES }).fill(otherwise);
  const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
  for (const { from, to, days = DAYS, bytesPerSecond } of [...of].reverse()) {
    for (const day of days) {
      let minute = minutes(from);
      do {
        limits[(DAYS.indexOf(day) * DAY_MINUTES + minute) % WEEK_MINUTES] = bytesPerSecond ?? undefined;
        minute++;
      } while (minute % DAY_MINUTES !== minutes(to));
    }
  }
  return limits;
}

test("the limit is that of the first window that names what clocks show, whatever they were set to", () => {
  fc.assert(
    fc.property(
      ...[time, fc.constantFrom(...zones), windows, fc.option(fc.integer({ min: 1 }), { nil: undefined })],
      (at: number, timeZone: string, of: BandwidthWindow[], otherwise: number | undefined) => {
        const wall = new TimeZone(timeZone).wallTime(at);
        const weekday = new Date(Date.UTC(wall.year, wall.month - 1, wall.day)).getUTCDay();
        const minute = weekday * DAY_MINUTES + wall.hour * 60 + wall.minute;
        const limit = bandwidthAt(at, { timeZone, windows: of, bandwidthLimitBytesPerSecond: otherwise });
        expect(limit).toBe(week(of, otherwise)[minute]);
      },
    ),
  );
});

const officeHours = {
  timeZone: "Europe/Vienna",
  windows: [Schema.parse({ from: "08:00", to: "18:00", days: ["mon", "fri"], bytesPerSecond: 2_500_000 })],
};

test.each([
  ["a Friday in winter before it begins", "2030-01-04T06:59:59Z", undefined],
  ["when it begins", "2030-01-04T07:00:00Z", 2_500_000],
  ["until it ends", "2030-01-04T16:59:59Z", 2_500_000],
  ["when it ends", "2030-01-04T17:00:00Z", undefined],
  ["an hour earlier in UTC in summer", "2030-07-05T06:00:00Z", 2_500_000],
  ["a Saturday", "2030-01-05T10:00:00Z", undefined],
])("office hours limit uploads: %s", (_, at, limit) => {
  expect(bandwidthAt(Date.parse(at), officeHours)).toBe(limit);
});

test("hours that clocks skip bring no limit, and hours that they show twice bring it twice", () => {
  const night = {
    ...officeHours,
    windows: [Schema.parse({ from: "02:15", to: "02:45", bytesPerSecond: 9 })],
  };
  const limits = (from: string) =>
    Array.from({ length: 12 }, (_, index) => bandwidthAt(Date.parse(from) + index * 900_000, night));
  // From midnight UTC: clocks go from 01:59 to 03:00.
  expect(limits("2030-03-31T00:00:00Z").filter((limit) => limit !== undefined)).toEqual([]);
  // Clocks go from 02:59 back to 02:00.
  expect(limits("2030-10-27T00:00:00Z")).toEqual([
    ...[undefined, 9, 9, undefined, undefined, 9, 9, undefined],
    ...Array(4).fill(undefined),
  ]);
});
