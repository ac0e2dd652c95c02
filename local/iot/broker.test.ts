import { UpdateCertificateCommand } from "@aws-sdk/client-iot";
import { expect, test } from "vitest";
import { TestCloud } from "./testing/cloud.ts";
import { enrol, TestConnection } from "./testing/device.ts";

test("an enrolled device publishes, receives, and its events reach the function of a rule", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  await using connection = await TestConnection.open(cloud, device);
  await connection.client.subscribeAsync("agents/alpha/commands", { qos: 1 });
  await connection.client.publishAsync("agents/alpha/commands", "hello", { qos: 1 });
  expect(await connection.received(1)).toEqual(["hello"]);

  await connection.client.publishAsync("agents/alpha/events", '{"done":true}', { qos: 1 });
  await cloud.until(() => cloud.payloads().some((payload) => payload.done === true));
  expect(cloud.invocations.at(-1)).toEqual({
    functionArn: "arn:aws:lambda:local-1:000000000000:function:ingest",
    payload: { done: true, topic: "agents/alpha/events", client: "alpha" },
    caller: {
      kind: "service",
      service: "iot.amazonaws.com",
      sourceArn: "arn:aws:iot:local-1:000000000000:rule/ingest",
    },
  });
});

test("a certificate that is revoked cuts the session that it holds, and connects no more", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const connection = await TestConnection.open(cloud, device);
  await cloud
    .iot()
    .send(new UpdateCertificateCommand({ certificateId: device.certificateId, newStatus: "REVOKED" }));
  await connection.closed();
  await expect(TestConnection.open(cloud, device)).rejects.toThrow("Not authorized");
  expect(cloud.refused.map((event) => event.kind)).toEqual(["session", "connect"]);
});
