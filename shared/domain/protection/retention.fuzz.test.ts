import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatRetention,
  keep,
  parseRetention,
  type RecordedPoint,
  Retention,
  type Verdict,
} from "./retention.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 2, 20);
const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/St_Johns",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "Asia/Kathmandu",
];

const point = (ms: number, change: Partial<RecordedPoint> = {}): RecordedPoint => ({
  id: `rp_${ms.toString(36)}`,
  createdAt: new Date(ms).toISOString(),
  ofPlan: true,
  pinned: false,
  ...change,
});
const at = (iso: string) => point(Date.parse(iso));
const rules = (text: string) => parseRetention(text);
const kept = (verdicts: Verdict[]) => verdicts.filter(({ keptBy }) => keptBy.length > 0).map(({ id }) => id);
const survivors = (points: readonly RecordedPoint[], verdicts: Verdict[]) => {
  const ids = new Set(kept(verdicts));
  return points.filter(({ id }) => ids.has(id));
};
/** When the kept points were made, with the reasons. */
const shown = (verdicts: Verdict[]) =>
  verdicts
    .filter(({ keptBy }) => keptBy.length > 0)
    .map(({ createdAt, keptBy }) => `${createdAt.slice(0, 16)} ${keptBy.join(" ")}`);

const AnyCount = fc.oneof(fc.constant(0), fc.nat({ max: 6 }));
const AnyRetention: fc.Arbitrary<Retention> = fc.record({
  last: fc.integer({ min: 1, max: 5 }),
  hourly: AnyCount,
  daily: AnyCount,
  weekly: AnyCount,
  monthly: AnyCount,
});
const AnyZone = fc.constantFrom(...ZONES);
/** From minutes to weeks apart, across changes of clocks and ends of years. */
const AnyPoints = fc
  .array(
    fc.record({
      gap: fc.oneof(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 60, max: 60 * 24 * 40 })),
      ofPlan: fc.integer({ max: 9, min: 0 }).map((number) => number > 0),
      pinned: fc.integer({ max: 9, min: 0 }).map((number) => number === 0),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((steps) => {
    let ms = START;
    return steps.map(({ gap, ...change }) => {
      ms += gap * MINUTE;
      return point(ms, change);
    });
  });
const END = START + 10 * 365 * DAY;

describe("for any points", () => {
  test("a larger rule keeps at least as much", () => {
    const AnyMore = fc.record({
      rule: fc.constantFrom(...Retention.keyof().options),
      more: fc.nat({ max: 9 }),
    });
    fc.assert(
      fc.property(AnyPoints, AnyRetention, AnyMore, AnyZone, (points, retention, { rule, more }, zone) => {
        const larger = { ...retention, [rule]: retention[rule] + more };
        expect(kept(keep(points, larger, zone, END))).toEqual(
          expect.arrayContaining(kept(keep(points, retention, zone, END))),
        );
      }),
    );
  });

  test("the newest points stay", () => {
    fc.assert(
      fc.property(AnyPoints, AnyRetention, AnyZone, (points, retention, zone) => {
        const newest = points.filter(({ ofPlan }) => ofPlan).slice(-retention.last);
        expect(kept(keep(points, retention, zone, END))).toEqual(
          expect.arrayContaining(newest.map(({ id }) => id)),
        );
      }),
    );
  });

  test("pruning again prunes nothing", () => {
    fc.assert(
      fc.property(AnyPoints, AnyRetention, AnyZone, (points, retention, zone) => {
        const left = survivors(points, keep(points, retention, zone, END));
        expect(kept(keep(left, retention, zone, END))).toHaveLength(left.length);
      }),
    );
  });

  test("their order does not matter", () => {
    const Shuffled = AnyPoints.chain((points) =>
      fc.tuple(
        fc.constant(points),
        fc.shuffledSubarray(points, { minLength: points.length, maxLength: points.length }),
      ),
    );
    fc.assert(
      fc.property(Shuffled, AnyRetention, AnyZone, ([points, shuffled], retention, zone) => {
        expect(keep(shuffled, retention, zone, END)).toEqual(keep(points, retention, zone, END));
      }),
    );
  });

  test("pruning after each point keeps what pruning once at the end keeps", () => {
    fc.assert(
      fc.property(AnyPoints, AnyRetention, AnyZone, (points, retention, zone) => {
        let left: RecordedPoint[] = [];
        for (const next of points) {
          left.push(next);
          left = survivors(left, keep(left, retention, zone, Date.parse(next.createdAt)));
        }
        expect(left).toEqual(survivors(points, keep(points, retention, zone, END)));
      }),
    );
  });

  test("points that are pinned, of the future or not of the plan stay and cost no other its place", () => {
    fc.assert(
      fc.property(AnyPoints, AnyRetention, AnyZone, fc.nat({ max: 59 }), (points, retention, zone, late) => {
        const now = Date.parse(points[late]?.createdAt ?? points.at(-1)?.createdAt ?? "");
        const plain = points
          .filter(({ ofPlan, createdAt }) => ofPlan && Date.parse(createdAt) <= now)
          .map((each) => ({ ...each, pinned: false }));
        const found = kept(keep(points, retention, zone, now));
        expect(found).toEqual(expect.arrayContaining(kept(keep(plain, retention, zone, now))));
        const held = points.filter(
          ({ ofPlan, pinned, createdAt }) => !ofPlan || pinned || Date.parse(createdAt) > now,
        );
        expect(found).toEqual(expect.arrayContaining(held.map(({ id }) => id)));
      }),
    );
  });

  test("a retention reads back as it was written", () => {
    fc.assert(
      fc.property(AnyRetention, (retention) => {
        expect(parseRetention(formatRetention(retention))).toEqual(retention);
      }),
    );
  });
});

test("the newest point of each hour, day, week and month stays, with every rule that keeps it", () => {
  const points = Array.from({ length: 60 * 24 }, (_, hours) => point(START + hours * HOUR));
  const now = Date.parse(points.at(-1)?.createdAt ?? "");
  expect(shown(keep(points, rules("last=2,hourly=3,daily=2,weekly=2,monthly=2"), "UTC", now))).toEqual([
    "2026-05-18T23:00 last hourly daily weekly monthly",
    "2026-05-18T22:00 last hourly",
    "2026-05-18T21:00 hourly",
    "2026-05-17T23:00 daily weekly",
    "2026-04-30T23:00 monthly",
  ]);
});

test("weeks begin on Monday, also across a new year (borgbackup/borg#8221)", () => {
  const days = Array.from({ length: 14 }, (_, day) => point(Date.UTC(2024, 11, 23 + day, 2, 34)));
  expect(shown(keep(days, rules("last=1,weekly=2"), "UTC", END))).toEqual([
    "2025-01-05T02:34 last weekly",
    "2024-12-29T02:34 weekly",
  ]);
});

test("days are those of the plan's time zone (borgbackup/borg#7282)", () => {
  const points = ["2023-01-17T10:30Z", "2023-01-17T23:30Z", "2023-01-18T09:30Z"].map(at);
  const daily = (zone: string) => shown(keep(points, rules("last=1,daily=2"), zone, END));
  expect(daily("UTC")).toEqual(["2023-01-18T09:30 last daily", "2023-01-17T23:30 daily"]);
  expect(daily("Etc/GMT-14")).toEqual(["2023-01-18T09:30 last daily", "2023-01-17T10:30 oldest"]);
  expect(daily("Etc/GMT+12")).toEqual(["2023-01-18T09:30 last daily", "2023-01-17T10:30 daily"]);
});

test("an hour that a change of clocks repeats counts as two (jimsalterjrs/sanoid#155)", () => {
  const points = ["2017-10-29T00:20Z", "2017-10-29T01:20Z", "2017-10-29T02:20Z"].map(at);
  expect(shown(keep(points, rules("hourly=3"), "Europe/Rome", END))).toHaveLength(3);
});

test("a day that a change of clocks makes longer is one day (borgbackup/borg#1980)", () => {
  const points = ["2026-10-24T22:00Z", "2026-10-25T22:59Z", "2026-10-25T23:00Z"].map(at);
  expect(shown(keep(points, rules("daily=2"), "Europe/Berlin", END))).toEqual([
    "2026-10-25T23:00 last daily",
    "2026-10-25T22:59 daily",
  ]);
});

test("rules with fewer periods than they may keep leave the first point (restic/restic#3624)", () => {
  const points = ["2026-05-03T00:00Z", "2026-05-04T00:00Z", "2026-05-05T00:00Z"].map(at);
  expect(shown(keep(points, rules("monthly=2"), "UTC", END))).toEqual([
    "2026-05-05T00:00 last monthly",
    "2026-05-03T00:00 oldest",
  ]);
});

test("a source that was away for years loses nothing (restic/restic#2458)", () => {
  const points = ["2020-01-01T00:00Z", "2020-01-02T00:00Z"].map(at);
  expect(shown(keep(points, rules("hourly=2"), "UTC", END))).toHaveLength(2);
});

test("a point of a clock that ran ahead stays, and the present's points keep their places", () => {
  const present = ["2026-05-03T00:00Z", "2026-05-04T00:00Z"].map(at);
  const now = Date.parse("2026-05-04T00:00Z");
  expect(shown(keep([...present, at("2040-01-01T00:00Z")], rules("last=2"), "UTC", now))).toEqual([
    "2040-01-01T00:00 future",
    "2026-05-04T00:00 last",
    "2026-05-03T00:00 last",
  ]);
});

test("without points there is nothing to judge", () => {
  expect(keep([], rules("last=1"), "UTC", END)).toEqual([]);
});

test("points of the same millisecond have one order", () => {
  const twins = ["rp_a", "rp_b"].map((id) => point(START, { id }));
  expect(kept(keep(twins, rules("last=1"), "UTC", END))).toEqual(["rp_b"]);
  expect(kept(keep(twins.toReversed(), rules("last=1"), "UTC", END))).toEqual(["rp_b"]);
});

test("what is not given keeps nothing but the newest point", () => {
  expect(Retention.parse({})).toEqual({ last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0 });
  expect(parseRetention(" daily = 14 , hourly=24 ")).toMatchObject({ last: 1, hourly: 24, daily: 14 });
});

test.each([
  "",
  "last",
  "last=",
  "last=0",
  "last=-1",
  "last=1.5",
  "last=1e3",
  "last=99999999999999999999",
  "daily=10001",
  "yearly=2",
  "last=1,last=2",
  "last=1,",
  "constructor=1",
  "__proto__=1",
  "last=1;daily=2",
])("%j is no retention", (text) => {
  expect(() => parseRetention(text)).toThrow(expect.objectContaining({ name: "InvalidInputError" }));
});
