import { beforeEach, expect, test } from "vitest";
import { LEASE_MARGIN_SECONDS, LEASE_SECONDS } from "#shared/domain/lease.ts";
import { aRecovery } from "#shared/domain/testing/records.ts";
import { FenceIncompleteError, failureOf } from "#shared/errors.ts";
import { run as ingest } from "../ingest/agent-events.ts";
import { run as moveLease } from "../tasks/move-lease.ts";
import { World } from "../testing/world.ts";

const AT = "2030-01-01T00:00:00.000Z";
let world: World;

beforeEach(async () => {
  world = await World.start();
  await world.enrolled({
    source: { name: "pine", presence: { state: "disconnected", sessionId: "s1", at: 0 } },
  });
  for (const id of ["rcv_1", "rcv_2"])
    await world.store.recoveries.add(aRecovery({ id, network: "production" }));
});

const alarm = () => world.store.alarms.find({ kind: "fence-failed", subject: "agt_source" });
const event = (given: object) => ingest({ agentId: "agt_source", event: { at: AT, ...given } }, world);
const failure = (state: "up" | "down") =>
  failureOf(new FenceIncompleteError(state, new Map([["postgresql.service", "it does not stop"]])));
const fails = (ownerId: string, label: "up" | "down") =>
  event({ type: "command-failed", commandId: `${ownerId}.set-fence.${label}.1`, failure: failure(label) });
const succeeds = (ownerId: string, label: "up" | "down", term: number, kept = ["postgresql.service"]) =>
  event({
    ...{ type: "command-succeeded", commandId: `${ownerId}.set-fence.${label}.1` },
    output: { term, isUp: label === "up", services: label === "up" ? kept : [] },
  });
const take = (recoveryId: string) => moveLease({ recoveryId, action: "take" }, world);
/** The source has the right to run again. */
async function returned(recoveryId: string): Promise<void> {
  await moveLease({ recoveryId, action: "give-back" }, world);
  world.nowMs += (LEASE_SECONDS + LEASE_MARGIN_SECONDS) * 1000;
  await moveLease({ recoveryId, action: "give-back" }, world);
}

test("a source that could not fence itself raises an alarm that says why, and what may happen", async () => {
  await take("rcv_1");
  for (let times = 0; times < 2; times++) await fails("rcv_1", "up");
  expect(await alarm()).toMatchObject({
    ...{ state: "open", sourceId: "agt_source", sourceName: "pine", details: { term: 1, isUp: true } },
    cause: expect.stringMatching(
      /pine may serve its clients beside the machine of rcv_1.*postgresql\.service/,
    ),
    action: expect.stringContaining("Stop what still runs"),
  });
  expect(world.topic.notices).toEqual(["raised fence-failed agt_source"]);
});

test("a source that comes back, and whose fence stops nothing, serves beside its machine, and raises the alarm", async () => {
  await take("rcv_1");
  for (let times = 0; times < 2; times++) await succeeds("rcv_1", "up", 1, []);
  expect(await alarm()).toMatchObject({
    ...{ state: "open", details: { term: 1, isUp: true } },
    cause: expect.stringContaining("no list of services"),
    action: expect.stringContaining("--fence-service"),
  });
  await returned("rcv_1");
  await succeeds("rcv_1", "down", 1);
  expect((await alarm())?.state).toBe("cleared");
});

test("a later command on the fence that succeeds clears the alarm, also one of another recovery", async () => {
  await take("rcv_1");
  await fails("rcv_1", "up");
  await returned("rcv_1");
  await take("rcv_2");
  await succeeds("rcv_2", "up", 2);
  expect(await alarm()).toMatchObject({ state: "cleared", clearedBy: "causeway" });
});

test("a source that got its right back, but whose services did not start, raises the alarm, too", async () => {
  await take("rcv_1");
  await succeeds("rcv_1", "up", 1);
  await returned("rcv_1");
  await fails("rcv_1", "down");
  expect(await alarm()).toMatchObject({
    ...{ state: "open", details: { term: 1, isUp: false } },
    cause: expect.stringMatching(/pine has the right to run again, but .*postgresql\.service/),
    action: expect.stringContaining("Start what should run"),
  });
  // An event that was on its way.
  await succeeds("rcv_1", "up", 1);
  expect((await alarm())?.state).toBe("open");
});

test("a failure of a lease that is over is no news, however late it arrives", async () => {
  await take("rcv_1");
  await returned("rcv_1");
  await fails("rcv_1", "up");
  expect(await alarm()).toBeUndefined();
  await take("rcv_2");
  await fails("rcv_1", "down");
  expect(await alarm()).toBeUndefined();
});

test("a fence that a person broke at the source's console needs no alarm any more", async () => {
  await take("rcv_1");
  await moveLease({ recoveryId: "rcv_1", action: "keep" }, world);
  await fails("rcv_1", "up");
  const brokenFence = { term: 1, at: AT, by: "grace" };
  for (let times = 0; times < 2; times++)
    await event({ type: "agent-connected", agentVersion: "1", bootId: "b", brokenFence });
  expect((await alarm())?.state).toBe("cleared");
});

test("a notice that cannot be sent fails the event, and its repetition sends it", async () => {
  await take("rcv_1");
  world.outage.strike("publish");
  await expect(fails("rcv_1", "up")).rejects.toThrow();
  await fails("rcv_1", "up");
  expect(world.topic.notices).toEqual(["raised fence-failed agt_source"]);
});
