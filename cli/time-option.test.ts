import { expect, test } from "vitest";
import type { CliCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { timeOption } from "./time-option.ts";

const read = (start: string, timeZone?: string) =>
  timeOption({ values: { start } } as unknown as CliCall, "start", "protect", timeZone);

test.each([
  ["2030-07-01T02:30", "Europe/Vienna", "2030-07-01T00:30:00.000Z"],
  ["2030-07-01T02:30:15", "America/New_York", "2030-07-01T06:30:15.000Z"],
  ["2030-07-01T02:30Z", "Europe/Vienna", "2030-07-01T02:30:00.000Z"],
  ["2030-07-01T02:30+05:30", "Europe/Vienna", "2030-06-30T21:00:00.000Z"],
  // Clocks show it twice: the first time counts.
  ["2030-10-27T02:30", "Europe/Vienna", "2030-10-27T00:30:00.000Z"],
])("%s by the clocks of %s is %s", (text, timeZone, time) => {
  expect(read(text, timeZone)).toBe(time);
});

test("a time without a zone is by this computer's clock", () => {
  expect(read("2030-07-01T02:30")).toBe(new Date(2030, 6, 1, 2, 30).toISOString());
});

test.each([
  ["2030-02-31T02:30", "must be a time"],
  ["2030-01-01T24:30", "must be a time"],
  ["2030-01-01", "must be a time"],
  ["tomorrow", "must be a time"],
  ["2030-03-31T02:30", "clocks in Europe/Vienna never show 2030-03-31T02:30"],
])("%s is no time: %s", (text, why) => {
  expect(() => read(text, "Europe/Vienna")).toThrow(UsageError);
  expect(() => read(text, "Europe/Vienna")).toThrow(why);
});
