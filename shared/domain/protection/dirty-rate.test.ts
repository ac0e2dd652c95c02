import fc from "fast-check";
import { expect, test } from "vitest";
import { type ChangedHour, estimateChange, hourlyRates, withChange } from "./dirty-rate.ts";

const HOUR_MS = 3_600_000;
const at = (time: string) => Date.parse(`2030-01-02T${time}:00.000Z`);
const none: ChangedHour[] = [];
const rates = (hours: readonly ChangedHour[], now: number) =>
  hourlyRates(hours, now).map(({ bytesPerSecond }) => bytesPerSecond);

test("a day without runs has 24 hours of which nothing is known, the last one being the current hour", () => {
  const hours = hourlyRates(none, at("10:30"));
  expect(hours).toHaveLength(24);
  expect(hours[0]?.from).toBe("2030-01-01T11:00:00.000Z");
  expect(hours[23]?.from).toBe("2030-01-02T10:00:00.000Z");
  expect(hours.every(({ bytesPerSecond }) => bytesPerSecond === null)).toBe(true);
});

test("what a run found changed is spread evenly over the time since the point before it", () => {
  const hours = withChange(none, { from: at("09:30"), to: at("11:00"), bytes: 5400 });
  expect(hours.map(({ seconds, bytes }) => [seconds, bytes])).toEqual([
    [1800, 1800],
    [3600, 3600],
  ]);
  expect(rates(hours, at("11:59")).slice(-3)).toEqual([1, 1, null]);
});

test("runs within one hour add up, and an hour in which nothing changed is 0 and not unknown", () => {
  let hours = withChange(none, { from: at("09:00"), to: at("09:15"), bytes: 900 });
  hours = withChange(hours, { from: at("09:15"), to: at("09:30"), bytes: 2700 });
  hours = withChange(hours, { from: at("10:00"), to: at("11:00"), bytes: 0 });
  expect(rates(hours, at("11:00")).slice(-3)).toEqual([2, 0, null]);
});

test("hours of the day before are dropped, and of a long span only the last day is kept", () => {
  const old = withChange(none, { from: at("01:00"), to: at("02:00"), bytes: 3600 });
  const later = { from: at("02:00") + 30 * HOUR_MS, to: at("02:00") + 31 * HOUR_MS, bytes: 1 };
  expect(withChange(old, later)).toHaveLength(1);
  const week = withChange(none, { from: at("00:00"), to: at("00:00") + 168 * HOUR_MS, bytes: 168 * 3600 });
  expect(week).toHaveLength(23);
  expect(week.every(({ bytes }) => bytes === 3600)).toBe(true);
});

test("within a day no byte is lost or counted twice, whatever the spans are", () => {
  const spans = fc.array(fc.record({ ms: fc.integer({ min: 1, max: 6 * HOUR_MS }), bytes: fc.nat(1e12) }), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(spans, (runs) => {
      let hours = none;
      let from = at("00:00");
      for (const { ms, bytes } of runs) {
        hours = withChange(hours, { from, to: from + ms, bytes });
        from += ms;
      }
      const sum = (field: "bytes" | "seconds") => hours.reduce((total, hour) => total + hour[field], 0);
      const wanted = runs.reduce((total, { bytes }) => total + bytes, 0);
      expect(Math.abs(sum("bytes") - wanted)).toBeLessThanOrEqual(28);
      expect(sum("seconds")).toBeCloseTo((from - at("00:00")) / 1000, 3);
      expect(hours.length).toBeLessThanOrEqual(24);
    }),
  );
});

test("what has changed since a point is estimated from the same hours of the day before", () => {
  const night = withChange(none, { from: at("00:00"), to: at("08:00"), bytes: 0 });
  const day = withChange(night, { from: at("08:00"), to: at("16:00"), bytes: 8 * 3600 * 100 });
  const tomorrow = (time: string) => at(time) + 24 * HOUR_MS;
  expect(estimateChange(day, { from: tomorrow("01:00"), to: tomorrow("02:00") })).toBe(0);
  expect(estimateChange(day, { from: tomorrow("09:30"), to: tomorrow("10:30") })).toBe(360_000);
  expect(estimateChange(day, { from: at("15:00"), to: at("15:00") })).toBe(0);
  // Of the evening nothing is known: the mean of what is.
  expect(estimateChange(day, { from: at("20:00"), to: at("21:00") })).toBe(180_000);
  expect(estimateChange(none, { from: at("20:00"), to: at("21:00") })).toBeUndefined();
});

test("an estimate over several days counts each of them", () => {
  const hours = withChange(none, { from: at("00:00"), to: at("12:00"), bytes: 12 * 3600 });
  expect(estimateChange(hours, { from: at("12:00"), to: at("12:00") + 72 * HOUR_MS })).toBe(72 * 3600);
  expect(estimateChange(hours, { from: at("00:00") - 48 * HOUR_MS, to: at("13:00") })).toBe(61 * 3600);
});
