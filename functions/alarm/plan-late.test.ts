import { expect, test } from "vitest";
import { deletedPlan, pausedPlan } from "#shared/domain/protection/plan.ts";
import { abandonRun } from "../protection/abandon-run.ts";
import { at, finish, fire, planId, protect, runs, world } from "../testing/protected-source.ts";
import { watchAlarms } from "./watch.ts";

const watch = async (time: string) => {
  world.nowMs = at(time);
  await watchAlarms(world);
};
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
  await watch("03:05");
  expect(await alarm()).toBeUndefined();
  await watch("03:06");
  expect(await alarm()).toMatchObject({ state: "open", since: new Date(at("03:05")).toISOString() });
  expect((await alarm())?.cause).toContain(`Run ${(await lastRun()).id} failed`);
  await watch("03:21");
  expect(notices()).toEqual(["raised"]);
  expect((await alarm())?.reports).toBe(2);
});

test("a recovery point clears the alarm", async () => {
  await protectedOnce();
  await fire();
  await watch("03:06");
  expect((await alarm())?.cause).toContain("is running since");
  await finish((await lastRun()).id);
  await watch("03:21");
  expect(notices()).toEqual(["raised", "cleared"]);
});

test("an agent that is disconnected is the cause that is named", async () => {
  await protectedOnce();
  await world.store.agents.modify("agt_source", (agent) => ({
    ...agent,
    presence: { state: "disconnected", at: at("01:30") },
  }));
  await fire();
  await watch("03:06");
  expect((await alarm())?.cause).toContain("agent is disconnected");
});

test.each([
  ["pausing", pausedPlan],
  ["deleting", deletedPlan],
])("%s the plan clears its alarm, and none is raised afterwards", async (_, change) => {
  await protectedOnce();
  await watch("03:06");
  await world.store.plans.modify(planId, change);
  await watch("03:21");
  await watch("05:21");
  expect(notices()).toEqual(["raised", "cleared"]);
});

test("blackout hours suspend the alarm", async () => {
  await protectedOnce({ blackout: [{ from: "01:30", to: "06:00" }] });
  await watch("05:00");
  expect(await alarm()).toBeUndefined();
});

test("an outage of the topic keeps no other plan from being judged, and the next call makes up for it", async () => {
  await protectedOnce();
  world.outage.strike("publish");
  await watch("03:06");
  expect(world.logged).toContainEqual(expect.objectContaining({ message: "alarm not looked after" }));
  await watch("03:21");
  expect(notices()).toEqual(["raised"]);
});
