import { afterEach, beforeEach, expect, test } from "vitest";
import {
  at,
  finish,
  holder,
  plan,
  planId,
  protect,
  runs,
  story,
  world,
} from "../testing/protected-source.ts";
import { ScheduledPlans } from "../testing/scheduled-plans.ts";

let scheduled: ScheduledPlans;
beforeEach(() => {
  scheduled = new ScheduledPlans();
});
afterEach(() => scheduled.close());

const DAY_MS = 86_400_000;
const notices = () => world.topic.notices.map((notice) => notice.split(" ")[0]);
const until = (time: string, after = complete) => scheduled.passUntil(at(time), after);

/** The source is there and takes every point at once. */
async function complete(): Promise<void> {
  const run = (await runs()).at(-1);
  if (run?.state === "running") await finish(run.id, {}, scheduled.deps);
}
const nothing = async () => {};

test("while runs make their points, only they are called", async () => {
  await protect({}, scheduled.deps);
  await until("06:30");
  expect(await story()).toEqual([1, 2, 3, 4, 5, 6].map((hour) => `0${hour}:00 completed`));
  expect(scheduled.made).toEqual([1, 2, 3, 4, 5, 6].map((hour) => `0${hour}:00 run-plan`));
  expect(scheduled.schedules).toEqual([planId, `${planId}-watch`]);
});

test("a source that is away for hours raises one alarm, each hour says so again, and one run catches up", async () => {
  await protect({}, scheduled.deps);
  await until("01:30");
  await until("06:30", nothing);
  expect(notices()).toEqual(["raised", "still-raised", "still-raised", "still-raised"]);
  expect(scheduled.made.filter((call) => call.endsWith("watch-plan"))).toEqual(
    ["03:06", "04:06", "05:06", "06:06"].map((time) => `${time} watch-plan`),
  );
  const waiting = (await runs()).find(({ state }) => state === "running");
  await finish(waiting?.id ?? "", {}, scheduled.deps);
  expect(notices().at(-1)).toBe("cleared");
  await until("09:30");
  expect(scheduled.made.slice(-3)).toEqual(["07", "08", "09"].map((hour) => `${hour}:00 run-plan`));
  expect((await runs()).filter(({ state }) => state === "completed")).toHaveLength(5);
});

test("calls that come twice begin one run each and raise one alarm", async () => {
  scheduled.fate = () => 2;
  await protect({}, scheduled.deps);
  await until("02:30");
  expect(await story()).toEqual(["01:00 completed", "02:00 completed"]);
  await until("04:30", nothing);
  expect(notices()).toEqual(["raised"]);
});

test("a call of the timer that is lost is found by the watch, which says so and begins the run", async () => {
  await protect({}, scheduled.deps);
  await until("01:30");
  scheduled.fate = (name) => (name === "run-plan" ? 0 : 1);
  await until("03:10", nothing);
  expect(await story()).toEqual(["01:00 completed", "02:00 running"]);
  const alarm = await world.store.alarms.find({ kind: "plan-late", subject: planId });
  expect(alarm?.cause).toContain("The run that was due at 2030-01-01T02:00:00.000Z has not begun");
  scheduled.fate = () => 1;
  await complete();
  await until("05:30");
  expect((await story()).slice(2)).toEqual(["04:00 completed", "05:00 completed"]);
  expect(notices()).toEqual(["raised", "cleared"]);
});

test("a timer that the scheduler loses is set again by the watch, and a watch by the next run", async () => {
  await protect({}, scheduled.deps);
  await until("01:30");
  scheduled.lose(planId);
  await until("03:30");
  expect(scheduled.schedules).toEqual([planId, `${planId}-watch`]);
  scheduled.lose(`${planId}-watch`);
  await until("04:01", nothing);
  expect(scheduled.schedules).toEqual([planId, `${planId}-watch`]);
  expect((await runs()).at(-1)?.state).toBe("running");
});

test("all calls of some hours are lost: the watch fires again, because it repeats", async () => {
  await protect({}, scheduled.deps);
  await until("01:30");
  scheduled.fate = () => 0;
  await until("06:30");
  expect(await story()).toEqual(["01:00 completed"]);
  scheduled.fate = () => 1;
  await until("08:30");
  expect(await story()).toEqual(["01:00 completed", "02:00 completed", "08:00 completed"]);
  expect(notices()).toEqual(["raised", "cleared"]);
});

test("a watch that fires early or late changes nothing of a plan that is in time", async () => {
  await protect({}, scheduled.deps);
  await until("01:30");
  const before = { plan: await plan(), schedules: scheduled.schedules };
  await scheduled.deps.timer.watch(planId, 0);
  await until("01:40");
  expect({ plan: await plan(), schedules: scheduled.schedules }).toEqual(before);
  expect(scheduled.made.at(-1)).toBe("01:31 watch-plan");
  await until("04:30");
  expect(scheduled.made.slice(-3)).toEqual(["02", "03", "04"].map((hour) => `${hour}:00 run-plan`));
  expect(notices()).toEqual([]);
});

test("a run whose workflow has ended without ending it frees the source when the plan is late", async () => {
  await protect({}, scheduled.deps);
  await until("01:01", nothing);
  const first = (await runs())[0];
  await world.workflow.stop(first?.id ?? "");
  scheduled.fate = (name) => (name === "run-plan" ? 0 : 1);
  await until("02:10", nothing);
  expect(await story()).toEqual(["01:00 failed", "02:00 running"]);
  expect(await holder()).toBe((await runs())[1]?.id);
});

test("a plan that was never stored leaves no watch", async () => {
  await scheduled.deps.timer.watch("plan_01jd3v8q6m4x2k7zt5w9h0n1yc", at("00:10"));
  await until("00:20");
  expect(scheduled.schedules).toEqual([]);
});

test("blackout hours suspend the alarm, and after them the plan is late once it has had its time", async () => {
  await protect({ blackout: [{ from: "01:30", to: "05:00" }] }, scheduled.deps);
  await until("01:20");
  await until("05:50", nothing);
  expect(notices()).toEqual([]);
  expect(scheduled.made).toEqual(["01:00 run-plan", "05:00 run-plan"]);
  await until("06:10", nothing);
  expect(notices()).toEqual(["raised"]);
});

test.each([
  // Vienna's clocks skip from 02:00 to 03:00 on 31 March 2030.
  ["set forward", "2030-03-30T12:00:00Z", ["2030-03-31T01:00:00.000Z", "2030-04-01T00:30:00.000Z"]],
  // They show the hour from 02:00 twice on 27 October 2030.
  ["set back", "2030-10-26T12:00:00Z", ["2030-10-27T00:30:00.000Z", "2030-10-28T01:30:00.000Z"]],
])("a night in which clocks are %s raises no alarm and has one run", async (_, begin, due) => {
  await scheduled.passUntil(Date.parse(begin) - DAY_MS);
  const times = { intervalSeconds: undefined, cron: "30 2 * * *", timeZone: "Europe/Vienna" };
  await protect({ ...times, startAt: undefined }, scheduled.deps);
  await scheduled.passUntil(Date.parse(begin) + 2 * DAY_MS - 3600_000, complete);
  expect((await runs()).slice(1).map(({ dueAt }) => dueAt)).toEqual(due);
  expect(notices()).toEqual([]);
});
