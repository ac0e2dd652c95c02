import { beforeEach, expect, test } from "vitest";
import { alarmOf, type NewAlarm } from "#shared/domain/alarm.ts";
import { interruptNthCall } from "../testing/interrupt-save.ts";
import { World } from "../testing/world.ts";
import { clearAlarm, raiseAlarm } from "./raise.ts";

const MINUTE_MS = 60_000;
const key = { kind: "source-away" as const, subject: "cnv_1" };
const wanted: NewAlarm = {
  ...key,
  sourceName: "db",
  cause: "It has not come back.",
  action: "Look at its screen.",
  since: "2030-01-01T00:00:00.000Z",
};

let world: World;

beforeEach(async () => {
  world = await World.start();
});

async function setWebhook(): Promise<void> {
  const endpoint = { url: "https://alerts.example.com/", allowPrivate: false, sealedSecret: "c2VhbGVk" };
  await world.store.webhook.set(endpoint, { setAt: "2030-01-01T00:00:00.000Z", setBy: "ada" });
}
const listed = async () => (await world.store.alarms.page({ limit: 50 })).items.map(alarmOf);
const started = () => [...world.webhooks.executions.keys()];

test("a new alarm is stored, audited, published and handed to the webhook, each once", async () => {
  await setWebhook();
  const { id } = await raiseAlarm(wanted, world);
  expect(await listed()).toMatchObject([
    { id, state: "open", unsentNotices: 0, webhook: [{ noticeId: `${id}.1`, state: "waiting" }] },
  ]);
  expect(await world.audited()).toEqual(["causeway alarm-raised cnv_1 done"]);
  expect(world.topic.published).toMatchObject([
    { id: `${id}.1`, event: "raised", sequence: 1, alarm: wanted },
  ]);
  expect(started()).toEqual([`${id}.1`]);
});

test("without a webhook no workflow starts", async () => {
  await raiseAlarm(wanted, world);
  expect([started(), (await listed())[0]?.unsentNotices]).toEqual([[], 0]);
});

test("a repeated cause updates the open alarm, and sends a notice once an hour at most", async () => {
  const { id } = await raiseAlarm(wanted, world);
  for (let minutes = 10; minutes <= 130; minutes += 10) {
    world.nowMs += 10 * MINUTE_MS;
    await raiseAlarm({ ...wanted, cause: `Away for ${minutes} minutes.` }, world);
  }
  expect(world.topic.notices).toEqual([
    "raised source-away cnv_1",
    "still-raised source-away cnv_1",
    "still-raised source-away cnv_1",
  ]);
  expect(await listed()).toMatchObject([
    { id, reports: 14, cause: "Away for 130 minutes.", since: wanted.since },
  ]);
});

test("clearing sends one notice, and clearing again sends none", async () => {
  await raiseAlarm(wanted, world);
  await clearAlarm(key, world);
  await clearAlarm(key, world);
  expect(world.topic.notices).toEqual(["raised source-away cnv_1", "cleared source-away cnv_1"]);
  expect(await listed()).toMatchObject([{ state: "cleared", clearedBy: "causeway" }]);
});

test("an alarm that was never raised cannot be cleared", async () => {
  expect(await clearAlarm(key, world)).toBeUndefined();
  expect(await listed()).toEqual([]);
});

test("after it was cleared, the same cause opens a new alarm", async () => {
  const first = await raiseAlarm(wanted, world);
  await clearAlarm(key, world);
  const second = await raiseAlarm(wanted, world);
  expect(second.id).not.toBe(first.id);
  expect(second).toMatchObject({ state: "open", reports: 1 });
  expect(second.clearedAt).toBeUndefined();
});

test("two functions that report a cause at the same moment open one alarm with one first notice", async () => {
  await setWebhook();
  await Promise.all([raiseAlarm(wanted, world), raiseAlarm(wanted, world), raiseAlarm(wanted, world)]);
  const [alarm, ...others] = await listed();
  expect([others, alarm?.reports, alarm?.unsentNotices]).toEqual([[], 3, 0]);
  expect(new Set(world.topic.published.map(({ id }) => id))).toEqual(new Set([`${alarm?.id}.1`]));
  expect(started()).toEqual([`${alarm?.id}.1`]);
});

test("open alarms come first, and newer ones before older ones", async () => {
  for (const subject of ["cnv_1", "cnv_2", "cnv_3"]) {
    world.nowMs += MINUTE_MS;
    await raiseAlarm({ ...wanted, subject }, world);
  }
  await clearAlarm({ ...key, subject: "cnv_3" }, world);
  expect((await listed()).map(({ subject }) => subject)).toEqual(["cnv_2", "cnv_1", "cnv_3"]);
});

test("a topic that fails does not keep the notice from the webhook, and the next try publishes it", async () => {
  await setWebhook();
  world.outage.strike("publish");
  await expect(raiseAlarm(wanted, world)).rejects.toThrow("outage of publish");
  expect([started().length, (await listed())[0]?.unsentNotices]).toEqual([1, 1]);
  await raiseAlarm(wanted, world);
  expect(world.topic.notices).toEqual(["raised source-away cnv_1"]);
  expect([started().length, (await listed())[0]?.unsentNotices]).toEqual([1, 0]);
});

test("a webhook that cannot be started does not keep the notice from the topic, and is tried again", async () => {
  await setWebhook();
  world.outage.strike("startWebhook");
  await expect(raiseAlarm(wanted, world)).rejects.toThrow("outage of startWebhook");
  expect(world.topic.notices).toEqual(["raised source-away cnv_1"]);
  await raiseAlarm(wanted, world);
  expect([world.topic.notices.length, started().length]).toEqual([1, 1]);
});

test("a function that is killed before it notes what it sent sends the same notice again", async () => {
  await setWebhook();
  interruptNthCall(world.store.alarms, "modify", 2);
  await expect(raiseAlarm(wanted, world)).rejects.toThrow("killed");
  await raiseAlarm(wanted, world);
  const [first, second, ...more] = world.topic.published;
  expect([second?.id, more, started()]).toEqual([first?.id, [], [first?.id]]);
  expect(await world.audited()).toEqual(["causeway alarm-raised cnv_1 done"]);
});

test("an alarm that clears before its first notice went out sends both notices, in order", async () => {
  world.outage.strike("publish");
  await raiseAlarm(wanted, world).catch(() => undefined);
  await clearAlarm(key, world);
  expect(world.topic.notices).toEqual(["raised source-away cnv_1", "cleared source-away cnv_1"]);
});
