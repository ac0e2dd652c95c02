import { expect, test } from "vitest";
import { TestCloud } from "./testing/cloud.ts";
import { enrol, TestConnection } from "./testing/device.ts";

const HOUR_MS = 60 * 60 * 1000;

test("connecting and leaving are announced in AWS's form", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const connection = await TestConnection.open(cloud, device);
  await cloud.clock.advance(1500);
  await connection.client.endAsync();
  await cloud.until(() => cloud.events().length === 2);

  const [connected, disconnected] = cloud.events();
  const common = {
    clientId: "alpha",
    principalIdentifier: device.certificateId,
    sessionIdentifier: expect.stringMatching(/^[0-9a-f-]{36}$/),
    versionNumber: 0,
  };
  expect(connected).toEqual({
    ...common,
    timestamp: cloud.clock.now() - 1500,
    eventType: "connected",
    ipAddress: "127.0.0.1",
  });
  expect(disconnected).toEqual({
    ...common,
    sessionIdentifier: connected?.sessionIdentifier,
    timestamp: cloud.clock.now(),
    eventType: "disconnected",
    clientInitiatedDisconnect: true,
    disconnectReason: "CLIENT_INITIATED_DISCONNECT",
  });
});

test("presence distinguishes a broken connection from an ended one", async () => {
  await using cloud = await TestCloud.start();
  const connection = await TestConnection.open(cloud, await enrol(cloud, "alpha"));
  connection.client.stream.destroy();
  await cloud.until(() => cloud.events().length === 2);
  expect(cloud.events()[1]).toMatchObject({
    clientInitiatedDisconnect: false,
    disconnectReason: "CONNECTION_LOST",
  });
});

test("the version rises with each connection and starts again after an hour without one", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  for (const [version, awayMs] of [
    [0, HOUR_MS],
    [1, HOUR_MS + 1],
    [0, 0],
  ]) {
    const connection = await TestConnection.open(cloud, device);
    expect(cloud.events().at(-1)).toMatchObject({ eventType: "connected", versionNumber: version });
    await connection.client.endAsync();
    await cloud.until(() => cloud.events().at(-1)?.eventType === "disconnected");
    await cloud.clock.advance(awayMs ?? 0);
  }
});

test("clients that were connected when the cloud stopped are announced as disconnected at its next start", async () => {
  await using cloud = await TestCloud.start();
  const connection = await TestConnection.open(cloud, await enrol(cloud, "alpha"));
  await cloud.stopCore();
  await connection.closed();
  expect(cloud.events()).toHaveLength(1);
  await cloud.startCore();
  expect(cloud.events()[1]).toMatchObject({
    clientId: "alpha",
    eventType: "disconnected",
    disconnectReason: "SERVER_ERROR",
    sessionIdentifier: cloud.events()[0]?.sessionIdentifier,
    versionNumber: 0,
  });
});
