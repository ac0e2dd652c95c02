import { describe, expect, test } from "vitest";
import { CutoverWindow, CutoverWindows } from "../../protocol/cutover-window.ts";
import { nextOpening, openingFrom } from "./window.ts";

const MINUTE_MS = 60_000;

/** The openings in order, as `2027-03-28T00:00Z +120`: when each begins, and for how many minutes. */
function openings(...windows: CutoverWindow[]): string[] {
  const found: string[] = [];
  for (let opening = nextOpening(windows, 0); opening; opening = nextOpening(windows, opening.opensAt)) {
    const { opensAt, closesAt } = opening;
    found.push(`${new Date(opensAt).toISOString().slice(0, 16)}Z +${(closesAt - opensAt) / MINUTE_MS}`);
  }
  return found;
}

const hours = (firstDay: string, [from = "", to = ""]: string[], timeZone: string, lastDay?: string) =>
  CutoverWindow.parse({ firstDay, lastDay, from, to, timeZone });

describe("the opening of a window", () => {
  test("ends on the next day if its end is before its start, on the last day of a span too", () => {
    expect(openings(hours("2027-06-05", ["22:00", "02:00"], "Europe/Berlin", "2027-06-06"))).toEqual([
      "2027-06-05T20:00Z +240",
      "2027-06-06T20:00Z +240",
    ]);
  });

  test("lasts a day if its start is its end, and then joins that of the next day", () => {
    expect(openings(hours("2027-06-05", ["12:00", "12:00"], "UTC", "2027-06-06"))).toEqual([
      "2027-06-05T12:00Z +2880",
    ]);
  });

  test("is that of all windows that overlap or touch, in whichever time zone each is", () => {
    expect(
      openings(
        hours("2027-06-06", ["00:00", "01:00"], "Europe/Berlin"),
        hours("2027-06-05", ["22:30", "23:30"], "UTC"),
        hours("2027-06-05", ["19:30", "20:00"], "America/New_York"),
        hours("2027-06-05", ["23:15", "23:20"], "UTC"),
      ),
    ).toEqual(["2027-06-05T22:00Z +120"]);
  });

  // https://github.com/kelektiv/node-cron/issues/563
  test("begins at the first moment after the change of clocks if they skip its start", () => {
    expect(openings(hours("2021-03-14", ["02:30", "04:00"], "America/New_York"))).toEqual([
      "2021-03-14T07:00Z +60",
    ]);
  });

  test("does not exist on a day whose clocks skip all of its hours", () => {
    expect(openings(hours("2027-03-27", ["02:15", "02:45"], "Europe/Berlin", "2027-03-29"))).toEqual([
      "2027-03-27T01:15Z +30",
      "2027-03-29T00:15Z +30",
    ]);
  });

  test("happens once if clocks show its hours twice", () => {
    expect(openings(hours("2021-11-07", ["01:15", "01:45"], "America/New_York"))).toEqual([
      "2021-11-07T05:15Z +30",
    ]);
  });

  // https://github.com/elizaOS/eliza/pull/11100
  test("happens once where clocks are set back by half an hour", () => {
    expect(openings(hours("2026-04-05", ["01:45", "02:15"], "Australia/Lord_Howe"))).toEqual([
      "2026-04-04T14:45Z +60",
    ]);
  });

  // https://github.com/kagkarlsson/db-scheduler/pull/663
  test("begins at its own hour again on the day after the change", () => {
    expect(openings(hours("2025-03-29", ["01:30", "05:00"], "Europe/London", "2025-03-31"))).toEqual([
      "2025-03-29T01:30Z +210",
      "2025-03-30T01:00Z +180",
      "2025-03-31T00:30Z +210",
    ]);
  });

  // https://github.com/agronholm/apscheduler/pull/1138
  test("is on each day of a span where clocks skip the end of one day", () => {
    expect(openings(hours("2024-03-29", ["23:30", "00:30"], "America/Nuuk", "2024-03-31"))).toEqual([
      "2024-03-30T01:30Z +60",
      "2024-03-31T01:00Z +30",
      "2024-04-01T00:30Z +60",
    ]);
  });

  // https://github.com/ovumcy/ovumcy-web/pull/501
  test("begins on its own day where clocks skip midnight", () => {
    expect(openings(hours("2025-09-07", ["00:00", "03:00"], "America/Santiago"))).toEqual([
      "2025-09-07T04:00Z +120",
    ]);
  });

  test("does not exist on a day that a zone skipped, and joins the days around it", () => {
    expect(openings(hours("2011-12-29", ["20:00", "22:00"], "Pacific/Apia", "2011-12-31"))).toEqual([
      "2011-12-30T06:00Z +120",
      "2011-12-31T06:00Z +120",
    ]);
    expect(openings(hours("2011-12-29", ["23:00", "01:00"], "Pacific/Apia", "2011-12-30"))).toEqual([
      "2011-12-30T09:00Z +120",
    ]);
  });

  test.each([
    ["2027-03-28", ["01:00", "04:00"], "Europe/Berlin", 120],
    ["2027-10-31", ["01:00", "04:00"], "Europe/Berlin", 240],
    ["2027-10-02", ["22:00", "04:00"], "Australia/Lord_Howe", 330],
    ["2027-04-03", ["22:00", "04:00"], "Australia/Lord_Howe", 390],
    ["2027-03-27", ["12:00", "12:00"], "Europe/Berlin", 23 * 60],
  ])("on %s from %s in %s lasts %d minutes in real time", (day, span, zone, minutes) => {
    expect(openings(hours(day, span, zone)).map((each) => Number(each.split("+")[1]))).toEqual([minutes]);
  });
});

test("no opening is left once the last one has closed", () => {
  const windows = [hours("2027-06-05", ["22:00", "02:00"], "UTC")];
  const closesAt = Date.parse("2027-06-06T02:00Z");
  expect(openingFrom(windows, closesAt - 1)?.closesAt).toBe(closesAt);
  expect(openingFrom(windows, closesAt)).toBeUndefined();
});

describe("a window is refused", () => {
  const right = { firstDay: "2027-06-05", from: "22:00", to: "02:00", timeZone: "Europe/Berlin" };

  test.each([
    [{ firstDay: "2027-02-30" }, "a date such as 2027-03-28"],
    [{ firstDay: "0027-02-03" }, "a date from 2000-01-01 to 2199-12-31"],
    [{ lastDay: "2027-06-04" }, "2027-06-04 is before the first day, 2027-06-05"],
    [{ lastDay: "2027-09-05" }, "a window has at most 92 days, and this one has 93"],
    [{ from: "24:00" }, "a time of day such as 22:00"],
    [{ to: "2:00" }, "a time of day such as 02:00"],
    [{ timeZone: "Europe/Bonn" }, "an IANA time zone such as Europe/Vienna"],
  ])("with %j: %s", (wrong, message) => {
    const { error } = CutoverWindow.safeParse({ ...right, ...wrong });
    expect(error?.issues.map((issue) => issue.message)).toEqual([message]);
  });

  test("if there is none, or one of more than ten", () => {
    expect(CutoverWindows.safeParse([]).error?.issues[0]?.message).toBe("at least one window");
    expect(CutoverWindows.safeParse(Array(11).fill(right)).error?.issues[0]?.message).toBe(
      "at most 10 windows",
    );
    expect(CutoverWindows.safeParse(Array(10).fill(right)).success).toBe(true);
  });
});
