import { expect, test } from "vitest";
import { TimeZone } from "#shared/time-zone.ts";
import { Cron } from "./cron.ts";
import { CronSyntaxError } from "./cron-fields.ts";

function upcoming(expression: string, from: string, count: number, zone = "UTC"): string[] {
  const cron = new Cron(expression);
  const timeZone = new TimeZone(zone);
  const times: string[] = [];
  let time: number | undefined = Date.parse(from);
  while (times.length < count) {
    time = cron.next(time, timeZone);
    if (time === undefined) break;
    times.push(new Date(time).toISOString().replace(":00.000Z", "Z"));
  }
  return times;
}

test.each([
  [
    "*/20 8-9 ? * MON-FRI *",
    ["2030-01-01T08:00Z", "2030-01-01T08:20Z", "2030-01-01T08:40Z", "2030-01-01T09:00Z"],
  ],
  ["0 12 L * ? *", ["2030-01-31T12:00Z", "2030-02-28T12:00Z", "2030-03-31T12:00Z"]],
  ["0 0 29 FEB ? *", ["2032-02-29T00:00Z", "2036-02-29T00:00Z"]],
  ["5 4 ? * 6#2 *", ["2030-01-11T04:05Z", "2030-02-08T04:05Z"]],
  ["5 4 ? * FRIL *", ["2030-01-25T04:05Z", "2030-02-22T04:05Z"]],
  ["5 4 ? JAN 2#5 2030-2035", ["2033-01-31T04:05Z", "2034-01-30T04:05Z", "2035-01-29T04:05Z"]],
  ["0 6 1W * ? *", ["2030-01-01T06:00Z", "2030-02-01T06:00Z", "2030-03-01T06:00Z", "2030-04-01T06:00Z"]],
  ["0 6 1W 6 ? *", ["2030-06-03T06:00Z", "2031-06-02T06:00Z"]],
  ["0 6 LW 3,8 ? *", ["2030-03-29T06:00Z", "2030-08-30T06:00Z"]],
  ["30 23 1,15 1/6 ? *", ["2030-01-01T23:30Z", "2030-01-15T23:30Z", "2030-07-01T23:30Z"]],
  ["0 0 1 1 ? 2029", []],
])("cron(%s)", (expression, expected) => {
  expect(upcoming(expression, "2030-01-01T00:00:00Z", Math.max(1, expected.length))).toEqual(expected);
});

test("a time that clocks skip in spring is skipped, and one that they show twice in autumn counts once", () => {
  const spring = upcoming("30 2 * * ? *", "2030-03-30T00:00:00Z", 3, "Europe/Berlin");
  expect(spring).toEqual(["2030-03-30T01:30Z", "2030-04-01T00:30Z", "2030-04-02T00:30Z"]);
  const autumn = upcoming("30 2 * * ? *", "2030-10-26T00:00:00Z", 3, "Europe/Berlin");
  expect(autumn).toEqual(["2030-10-26T00:30Z", "2030-10-27T00:30Z", "2030-10-28T01:30Z"]);
  const midnight = upcoming("0 0 * * ? *", "2030-03-29T12:00:00Z", 3, "Asia/Beirut");
  expect(midnight).toEqual(["2030-03-29T22:00Z", "2030-03-31T21:00Z", "2030-04-01T21:00Z"]);
});

test.each([
  "* * * * *",
  "* * * * * *",
  "* * ? * ? *",
  "60 * * * ? *",
  "* * 0 * ? *",
  "* * ? * 8 *",
  "* * ? * 2#6 *",
  "*/0 * * * ? *",
  "5-1 * * * ? *",
  "a * * * ? *",
  "* * 32W * ? *",
  "* * * * ? 1969",
])("cron(%s) is refused", (expression) => {
  expect(() => new Cron(expression)).toThrow(CronSyntaxError);
});
