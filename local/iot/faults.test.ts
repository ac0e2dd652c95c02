import { expect, test } from "vitest";
import type { Fault, FaultyMessage } from "./faults.ts";
import { TestCloud } from "./testing/cloud.ts";
import { enrol, TestConnection } from "./testing/device.ts";

/** A cloud that applies the listed faults, in order, to the messages in `direction`. Later messages pass. */
async function cloudWith(direction: FaultyMessage["direction"], faults: Fault[]): Promise<TestCloud> {
  const decide = (message: FaultyMessage): Fault =>
    (message.direction === direction ? faults.shift() : undefined) ?? { kind: "pass" };
  return TestCloud.start({ faults: { decide } });
}

async function subscriber(cloud: TestCloud): Promise<TestConnection> {
  const connection = await TestConnection.open(cloud, await enrol(cloud, "alpha"));
  await connection.client.subscribeAsync("agents/alpha/commands", { qos: 1 });
  return connection;
}

test("a client gets messages dropped, duplicated and swapped as the faults say", async () => {
  await using cloud = await cloudWith("to-client", [
    { kind: "drop" },
    { kind: "duplicate" },
    { kind: "swap" },
    { kind: "pass" },
  ]);
  await using connection = await subscriber(cloud);
  for (const payload of ["1", "2", "3", "4"]) {
    await connection.client.publishAsync("agents/alpha/commands", payload, { qos: 1 });
  }
  expect(await connection.received(4)).toEqual(["2", "2", "4", "3"]);
});

test("delayed messages reach the broker when their time has come", async () => {
  await using cloud = await cloudWith("to-broker", [{ kind: "delay", delayMs: 5000 }]);
  await using connection = await subscriber(cloud);
  connection.client.publish("agents/alpha/commands", "late", { qos: 0 });
  await connection.client.publishAsync("agents/alpha/commands", "prompt", { qos: 1 });
  expect(await connection.received(1)).toEqual(["prompt"]);
  await cloud.clock.advance(5000);
  expect(await connection.received(2)).toEqual(["prompt", "late"]);
});

test("a message of QoS 1 that was not acknowledged is sent again, marked as a duplicate, when the session resumes", async () => {
  await using cloud = await cloudWith("to-client", [{ kind: "drop" }]);
  const device = await enrol(cloud, "alpha");
  const first = await TestConnection.open(cloud, device, { clean: false });
  await first.client.subscribeAsync("agents/alpha/commands", { qos: 1 });
  await first.client.publishAsync("agents/alpha/commands", "command", { qos: 1 });
  await first.client.endAsync();
  await using second = await TestConnection.open(cloud, device, { clean: false });
  await second.received(1);
  expect(second.messages).toEqual([{ topic: "agents/alpha/commands", payload: "command", duplicate: true }]);
});
