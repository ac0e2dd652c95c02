import { expect, test } from "vitest";
import { NewPlan, PlanEdit } from "../../protocol/protection.ts";
import { afterClaim, editedPlan, newPlan, type PlanRecord, pausedPlan, resumedPlan } from "./plan.ts";

const at = (text: string) => Date.parse(text.length > 5 ? text : `2030-03-05T${text}:00.000Z`);

function aPlan(request: object, now: string): PlanRecord {
  return newPlan(NewPlan.parse({ sourceId: "agt_source", ...request }), {
    id: "plan_01jd3v8q6m4x2k7zt5w9h0n1yb",
    requestedBy: "ada",
    now: at(now),
  });
}

/** When the next runs start, each claimed on time, as `HH:MM`. */
function nextRuns(plan: PlanRecord, count: number): string[] {
  const times: string[] = [];
  let current = plan;
  for (let run = 0; run < count; run++) {
    times.push(current.nextRunAt?.slice(11, 16) ?? "never");
    current = ran(current, current.nextRunAt ?? "");
  }
  return times;
}

/** The plan after its due run was claimed at this time. */
function ran(plan: PlanRecord, time: string): PlanRecord {
  return afterClaim(plan, { dueAt: at(plan.nextRunAt ?? ""), runId: "run_1", now: at(time) });
}

const edit = (plan: PlanRecord, change: object, now: string) =>
  editedPlan(plan, PlanEdit.parse(change), at(now));

const hourly = { intervalSeconds: 3600, startAt: "2030-03-05T15:00:00.000Z" };

test("with a start time in the future, the first run is due then, and the others count from it", () => {
  expect(nextRuns(aPlan(hourly, "09:10"), 3)).toEqual(["15:00", "16:00", "17:00"]);
});

test("without a start time, the first run is due at once, and the others at a place of the plan's own", () => {
  const plan = aPlan({ intervalSeconds: 900 }, "09:10");
  const [first, second = "", third] = nextRuns(plan, 3);
  expect(first).toBe("09:10");
  expect(at(second) - at("09:10")).toBeLessThanOrEqual(900_000);
  expect(at(third ?? "") - at(second)).toBe(900_000);
});

test("an interval edited at 15:10 takes effect after the run that is due at 16:00", () => {
  const plan = ran(aPlan(hourly, "09:10"), "15:00");
  expect(nextRuns(edit(plan, { intervalSeconds: 300 }, "15:10"), 3)).toEqual(["16:00", "16:05", "16:10"]);
});

test("a start time that is moved into the future makes a run then; one in the past does nothing", () => {
  const plan = ran(aPlan(hourly, "09:10"), "15:00");
  const later = edit(plan, { startAt: "2030-03-05T18:20:00.000Z" }, "15:10");
  expect(nextRuns(later, 2)).toEqual(["18:20", "19:20"]);
  const earlier = edit(plan, { startAt: "2030-03-05T14:30:00.000Z" }, "15:10");
  expect(nextRuns(earlier, 2)).toEqual(["16:00", "17:00"]);
  expect(earlier.startAt).toBe("2030-03-05T14:30:00.000Z");
});

test("after an outage there is one run, and the next is the next time of the timetable", () => {
  const plan = ran(aPlan(hourly, "09:10"), "15:00");
  expect(nextRuns(ran(plan, "20:25"), 2)).toEqual(["21:00", "22:00"]);
});

test("a tick of a scheduler whose clock is ahead does not make the same time due again", () => {
  const plan = aPlan(hourly, "09:10");
  expect(nextRuns(ran(plan, "2030-03-05T14:59:59.500Z"), 1)).toEqual(["16:00"]);
});

test("a time in blackout hours moves to their end, once", () => {
  const blackout = [{ from: "16:30", to: "19:15" }];
  expect(nextRuns(aPlan({ ...hourly, blackout }, "09:10"), 4)).toEqual(["15:00", "16:00", "19:15", "20:00"]);
});

test("when blackout hours are removed, a run that waited for their end starts", () => {
  const blackout = [{ from: "08:00", to: "18:00" }];
  const plan = ran(
    aPlan({ intervalSeconds: 3600, startAt: "2030-03-05T07:00:00.000Z", blackout }, "06:00"),
    "07:00",
  );
  expect(plan.nextRunAt).toBe("2030-03-05T18:00:00.000Z");
  expect(edit(plan, { blackout: [] }, "09:30").nextRunAt).toBe("2030-03-05T08:00:00.000Z");
});

test.each([
  ["of every day", [{ from: "00:00", to: "00:00" }]],
  [
    "that meet",
    [
      { from: "06:00", to: "18:00" },
      { from: "18:00", to: "06:00" },
    ],
  ],
])("blackout hours %s that leave no time are refused", (_, blackout) => {
  expect(() => aPlan({ ...hourly, blackout }, "09:10")).toThrow("leave no time");
});

test("a cron expression's first run is its first time", () => {
  expect(nextRuns(aPlan({ cron: "*/20 9-10 * * *" }, "09:10"), 5)).toEqual([
    ...["09:20", "09:40", "10:00", "10:20", "10:40"],
  ]);
});

test.each(["0 0 30 2 *", "* * * *", "60 * * * *", "*/0 * * * *", "5-1 * * * *", "a * * * *", "1,,2 * * * *"])(
  "the cron expression %s is refused",
  (cron) => {
    expect(() => aPlan({ cron }, "09:10")).toThrow("cron");
  },
);

test("a paused plan has no next run, and continues with the next time of its timetable", () => {
  const plan = pausedPlan(ran(aPlan(hourly, "09:10"), "15:00"));
  expect(plan.nextRunAt).toBeUndefined();
  expect(nextRuns(resumedPlan(edit(plan, { intervalSeconds: 7200 }, "16:10"), at("18:30")), 2)).toEqual([
    ...["19:00", "21:00"],
  ]);
});

test("a plan that was paused before its first run begins with it when it is resumed", () => {
  const plan = pausedPlan(aPlan({ intervalSeconds: 86_400 }, "09:10"));
  expect(nextRuns(resumedPlan(plan, at("10:00")), 1)).toEqual(["10:00"]);
});
