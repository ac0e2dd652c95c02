import fc from "fast-check";
import { expect, test } from "vitest";
import { TimeZone } from "#shared/time-zone.ts";
import { Cron } from "./cron.ts";

const zones = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "Pacific/Apia",
];
const times = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2040, 0, 1) });

test("the next time has the wanted hour and minute in its zone, and no earlier time has", () => {
  const field = (max: number) => fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...zones), field(59), field(23), times, (name, minutes, hours, from) => {
      const zone = new TimeZone(name);
      const next = new Cron(`${minutes} ${hours} * * ? *`).next(from, zone) ?? Number.NaN;
      expect(next).toBeGreaterThan(from);
      const wall = zone.wallTime(next);
      expect([minutes.includes(wall.minute), hours.includes(wall.hour), wall.second]).toEqual([
        true,
        true,
        0,
      ]);
      const firstMinute = Math.ceil((from + 1) / 60_000) * 60_000;
      for (let time = firstMinute; time < next; time += 60_000) {
        const { hour, minute, ...date } = zone.wallTime(time);
        if (!minutes.includes(minute) || !hours.includes(hour)) continue;
        // Only the second showing of a time may be passed over.
        expect(zone.timesOf({ hour, minute, ...date })[0]).toBeLessThan(time);
      }
    }),
    { numRuns: 60 },
  );
});

test("the local time of an instant converts back to it, or to the first instant with the same local time", () => {
  fc.assert(
    fc.property(fc.constantFrom(...zones), times, (name, time) => {
      const zone = new TimeZone(name);
      const second = Math.floor(time / 1000) * 1000;
      const back = zone.timesOf(zone.wallTime(second))[0] ?? Number.NaN;
      expect(zone.wallTime(back)).toEqual(zone.wallTime(second));
      expect(back).toBeLessThanOrEqual(second);
      expect(second - back).toBeLessThanOrEqual(2 * 3600_000);
    }),
    { numRuns: 300 },
  );
});
