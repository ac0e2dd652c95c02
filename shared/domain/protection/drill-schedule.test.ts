import { expect, test } from "vitest";
import { DrillId } from "../../protocol/ids.ts";
import { afterDrill, drillIdOf, isDrillDue, isDrillLost, withNextDrill } from "./drill-schedule.ts";

const drills = { cron: "30 2 * * *", targetId: "agt_target", bootTimeoutSeconds: 600 };
const plan = { state: "active" as const, timeZone: "Europe/Vienna", drills };
const time = (text: string) => Date.parse(text);

test("the next drill is at the next time of the plan's time zone, also when clocks change", () => {
  const next = (now: string) =>
    withNextDrill<typeof plan & { drillDueAt?: string }>(plan, time(now)).drillDueAt;
  expect(next("2030-01-01T00:00:00Z")).toBe("2030-01-01T01:30:00.000Z");
  // The night in which clocks skip half past two.
  expect(next("2030-03-30T12:00:00Z")).toBe("2030-03-31T01:00:00.000Z");
  expect(next("2030-03-31T12:00:00Z")).toBe("2030-04-01T00:30:00.000Z");
});

test.each([
  ["paused", { state: "paused" as const }],
  ["without drills", { drills: undefined }],
])("a plan that is %s has no next drill", (_, change) => {
  const before = { ...plan, drillDueAt: "2030-01-01T01:30:00.000Z", ...change };
  expect(withNextDrill<object & typeof before>(before as never, 0)).not.toHaveProperty("drillDueAt");
});

test("after an outage, the times that have passed are skipped", () => {
  const due = { ...plan, drillDueAt: "2030-01-01T01:30:00.000Z" };
  const dueAt = time(due.drillDueAt);
  expect(isDrillDue(due, dueAt - 1)).toBe(false);
  expect(isDrillDue(due, dueAt)).toBe(true);
  const now = time("2030-01-03T12:00:00Z");
  expect(isDrillLost(due, now)).toBe(true);
  expect(isDrillLost(due, dueAt + 60_000)).toBe(false);
  const after = { dueAt, now, drillId: "drl_1" };
  expect(afterDrill<typeof due & { lastDrillId?: string }>(due, after)).toMatchObject({
    ...{ drillDueAt: "2030-01-04T01:30:00.000Z", lastDrillId: "drl_1" },
  });
});

test("drills of a plan have ids that sort by time", () => {
  const planId = "plan_01jd3v8q6m4x2k7zt5w9h0n1yb";
  const ids = [0, 1, 2e12].map((at) => DrillId.parse(drillIdOf(planId, at)));
  expect([...ids].sort()).toEqual(ids);
});
