import { expect, test } from "vitest";
import { abandonRun } from "../protection/abandon-run.ts";
import { setSchedules } from "../protection/schedules.ts";
import { at, finish, fire, fireWatch, planId, protect, runs, world } from "../testing/protected-source.ts";

const alarm = () => world.store.alarms.find({ kind: "plan-late", subject: planId });
const notices = () => world.topic.notices.map((notice) => notice.split(" ")[0]);
const lastRun = async () => (await runs()).at(-1) ?? expect.unreachable();

/** The plan has made a recovery point at one o'clock; the next one is due at two. */
async function protectedOnce(change: object = {}): Promise<void> {
  await protect(change);
  await fire();
  await finish((await lastRun()).id);
}

test("a plan whose run fails is late five minutes after the next one was due, and the alarm says why", async () => {
  await protectedOnce();
  await fire();
  await abandonRun((await lastRun()).id, { Error: "DiskReadFailedError", Cause: "" }, world);
  expect(world.timer.watched.get(planId)).toBe(at("03:05") + 1);
  await fireWatch("03:05");
  expect(await alarm()).toBeUndefined();
  await fireWatch();
  expect(await alarm()).toMatchObject({ state: "open", since: new Date(at("03:05")).toISOString() });
  expect((await alarm())?.cause).toContain("The run that was due at 2030-01-01T03:00:00.000Z has not begun");
  await fireWatch("03:21");
  expect(notices()).toEqual(["raised"]);
  expect((await alarm())?.reports).toBe(2);
});

test("each hour in which the plan is still late sends a notice with the cause of that hour", async () => {
  await protectedOnce();
  await fire();
  await abandonRun((await lastRun()).id, { Error: "DiskReadFailedError", Cause: "" }, world);
  await fire();
  await fireWatch("03:06");
  expect((await alarm())?.cause).toContain("is running since");
  await abandonRun((await lastRun()).id, { Error: "DiskReadFailedError", Cause: "" }, world);
  await fire("04:00");
  await abandonRun((await lastRun()).id, { Error: "DiskReadFailedError", Cause: "" }, world);
  await fireWatch("04:06");
  expect(notices()).toEqual(["raised", "still-raised"]);
  expect((await alarm())?.cause).toContain(`Run ${(await lastRun()).id} failed`);
});

test("a recovery point clears the alarm at once and moves the watch", async () => {
  await protectedOnce();
  await fire();
  const { id } = await lastRun();
  await fireWatch("03:06");
  expect((await alarm())?.state).toBe("open");
  await finish(id);
  expect(notices()).toEqual(["raised", "cleared"]);
  expect(world.timer.watched.get(planId)).toBe(at("05:05") + 1);
});

test("if the notice that the alarm is cleared cannot be sent, the watch sends it ten minutes later", async () => {
  await protectedOnce();
  await fire();
  const { id } = await lastRun();
  await fireWatch("03:06");
  world.outage.strike("publish");
  await finish(id);
  expect((await world.store.runs.get(id)).state).toBe("completed");
  expect(world.timer.watched.get(planId)).toBe(at("03:16"));
  await fireWatch();
  expect(notices()).toEqual(["raised", "cleared"]);
  expect(world.timer.watched.get(planId)).toBe(at("05:05") + 1);
});

test("a point that is made while the alarm is being raised leaves none open", async () => {
  await protectedOnce();
  await fire();
  const { id } = await lastRun();
  const raise = world.store.alarms.modify.bind(world.store.alarms);
  world.store.alarms.modify = async (...args) => {
    world.store.alarms.modify = raise;
    await finish(id);
    return raise(...args);
  };
  await fireWatch("03:06");
  expect(await alarm()).toMatchObject({ state: "cleared" });
});

test("an agent that is disconnected is the cause that is named", async () => {
  await protectedOnce();
  await world.store.agents.modify("agt_source", (agent) => ({
    ...agent,
    presence: { state: "disconnected", at: at("01:30") },
  }));
  await fire();
  await fireWatch("03:06");
  expect((await alarm())?.cause).toContain("agent is disconnected");
});

test("blackout hours suspend the alarm, and the watch looks again when they end", async () => {
  await protectedOnce({ blackout: [{ from: "01:30", to: "06:00" }] });
  await fireWatch("05:00");
  expect(await alarm()).toBeUndefined();
  expect(world.timer.watched.get(planId)).toBe(at("07:05") + 1);
});

test("blackout hours that an operator adds move the watch, although the plan is late already", async () => {
  await protectedOnce();
  const blackout = [{ from: "03:00" as const, to: "06:00" as const }];
  await world.store.plans.modify(planId, (plan) => ({ ...plan, blackout }));
  world.nowMs = at("03:30");
  await setSchedules(planId, world);
  expect(world.timer.watched.get(planId)).toBe(at("06:00"));
  await fireWatch();
  expect((await alarm())?.state).toBe("open");
});

test("an outage of the topic does not keep an overdue run from beginning, and the next call makes up for it", async () => {
  await protectedOnce();
  world.outage.strike("publish");
  await expect(fireWatch("03:06")).rejects.toThrow("outage of publish");
  expect((await lastRun()).state).toBe("running");
  await fireWatch("04:06");
  expect(notices()).toEqual(["raised", "still-raised"]);
});
