import { PublishCommand } from "@aws-sdk/client-iot-data-plane";
import { expect, test } from "vitest";
import { DEVICE_POLICY, TestCloud } from "./testing/cloud.ts";
import { enrol, TestConnection } from "./testing/device.ts";

const HOUR_MS = 60 * 60 * 1000;
const PERSISTENT = { clean: false };

async function send(cloud: TestCloud, ...payloads: string[]): Promise<void> {
  for (const payload of payloads) {
    await cloud.data().send(new PublishCommand({ topic: "agents/alpha/commands", qos: 1, payload }));
  }
}

/** A device with a persistent session that subscribed to its commands, and left. */
async function absentDevice(cloud: TestCloud) {
  const device = await enrol(cloud, "alpha");
  const connection = await TestConnection.open(cloud, device, PERSISTENT);
  await connection.client.subscribeAsync("agents/alpha/commands", { qos: 1 });
  await connection.client.endAsync();
  await cloud.until(() => cloud.events().at(-1)?.eventType === "disconnected");
  return device;
}

test("messages to a disconnected device wait for it in order, and are removed once it has received them", async () => {
  await using cloud = await TestCloud.start();
  const device = await absentDevice(cloud);
  await send(cloud, "1", "2", "3");
  for (const expected of [["1", "2", "3", "4"], ["5"]]) {
    await using connection = await TestConnection.open(cloud, device, PERSISTENT);
    expect(connection.sessionPresent).toBe(true);
    await send(cloud, expected.at(-1) ?? "");
    expect(await connection.received(expected.length)).toEqual(expected);
  }
});

test("sessions and what is queued for them survive a restart", async () => {
  await using cloud = await TestCloud.start();
  const device = await absentDevice(cloud);
  await send(cloud, "before");
  await cloud.stopCore();
  await cloud.startCore();
  await send(cloud, "after");
  await using connection = await TestConnection.open(cloud, device, PERSISTENT);
  expect(await connection.received(2)).toEqual(["before", "after"]);
});

test("a session is forgotten an hour after its client left", async () => {
  await using cloud = await TestCloud.start();
  const device = await absentDevice(cloud);
  await send(cloud, "old");
  await cloud.clock.advance(HOUR_MS + 1);
  await using connection = await TestConnection.open(cloud, device, PERSISTENT);
  expect(connection.sessionPresent).toBe(false);
  await connection.client.subscribeAsync("agents/alpha/commands", { qos: 1 });
  await send(cloud, "new");
  expect(await connection.received(1)).toEqual(["new"]);
});

test("a clean session ends the persistent one", async () => {
  await using cloud = await TestCloud.start();
  const device = await absentDevice(cloud);
  await send(cloud, "old");
  const clean = await TestConnection.open(cloud, device, { clean: true });
  await clean.client.endAsync();
  await using connection = await TestConnection.open(cloud, device, PERSISTENT);
  expect(connection.sessionPresent).toBe(false);
});

test("a session does not keep a subscription that was refused", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const greedy = await TestConnection.open(cloud, device, PERSISTENT);
  greedy.client.subscribe(["agents/alpha/commands", "agents/beta/commands"], { qos: 1 }, () => {});
  await greedy.closed();
  await using connection = await TestConnection.open(cloud, device, PERSISTENT);
  await send(cloud, "command");
  expect(await connection.received(1)).toEqual(["command"]);
});

test("a session continues without a subscription that the policy no longer allows", async () => {
  await using cloud = await TestCloud.start();
  const device = await absentDevice(cloud);
  const [connect, ...rest] = DEVICE_POLICY.Statement;
  const narrowed = rest.filter((statement) => statement.Action !== "iot:Subscribe");
  await cloud.addPolicy("device", { ...DEVICE_POLICY, Statement: [connect, ...narrowed] });
  await using connection = await TestConnection.open(cloud, device, PERSISTENT);
  await send(cloud, "command");
  await connection.client.publishAsync("agents/alpha/events", "{}", { qos: 1 });
  expect(connection.messages).toEqual([]);
  expect(cloud.refused).toMatchObject([{ kind: "subscribe", resource: "agents/alpha/commands" }]);
});

test("overlapping subscriptions do not break delivery, neither at once nor after a reconnect", async () => {
  await using cloud = await TestCloud.start();
  const device = await absentDevice(cloud);
  const overlapping = await TestConnection.open(cloud, device, PERSISTENT);
  await overlapping.client.subscribeAsync("agents/alpha/+", { qos: 1 });
  await send(cloud, "live");
  expect(await overlapping.received(1)).toEqual(["live"]);
  await overlapping.client.endAsync();
  await cloud.until(() => cloud.events().at(-1)?.eventType === "disconnected");
  await send(cloud, "queued");
  await using connection = await TestConnection.open(cloud, device, PERSISTENT);
  await send(cloud, "last");
  expect(await connection.received(2)).toEqual(["queued", "last"]);
});

test("a session's queue is bounded", async () => {
  await using cloud = await TestCloud.start();
  const device = await absentDevice(cloud);
  await cloud.addPolicy("talkative", {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["iot:Connect", "iot:Publish"], Resource: "*" }],
  });
  await using other = await TestConnection.open(cloud, await enrol(cloud, "beta", "talkative"));
  for (let index = 0; index < 1002; index++)
    other.client.publish("agents/alpha/commands", `${index}`, { qos: 1 });
  await other.client.publishAsync("agents/alpha/commands", "last", { qos: 1 });
  await using connection = await TestConnection.open(cloud, device, PERSISTENT);
  expect((await connection.received(1000)).at(-1)).toBe("999");
  expect(cloud.log.filter((entry) => entry.message === "a session's queue is full")).toHaveLength(3);
});
