import { GetRetainedMessageCommand, PublishCommand } from "@aws-sdk/client-iot-data-plane";
import { expect, test } from "vitest";
import { administrator, TestCloud } from "./testing/cloud.ts";
import { enrol, TestConnection } from "./testing/device.ts";

test("a published message reaches subscribers and rules", async () => {
  await using cloud = await TestCloud.start();
  await using connection = await TestConnection.open(cloud, await enrol(cloud, "alpha"));
  await connection.client.subscribeAsync("agents/alpha/+", { qos: 1 });
  await cloud.data().send(new PublishCommand({ topic: "agents/alpha/events", qos: 1, payload: '{"n":1}' }));
  expect(await connection.received(1)).toEqual(['{"n":1}']);
  expect(cloud.payloads().at(-1)).toEqual({ n: 1, topic: "agents/alpha/events", client: "N/A" });
});

test("publishing needs the permission on that topic", async () => {
  await using cloud = await TestCloud.start();
  cloud.caller = administrator({ Resource: "arn:aws:iot:local-1:000000000000:topic/agents/alpha/*" });
  await cloud.data().send(new PublishCommand({ topic: "agents/alpha/commands", payload: "x" }));
  await expect(
    cloud.data().send(new PublishCommand({ topic: "agents/beta/commands", payload: "x" })),
  ).rejects.toMatchObject({ name: "AccessDeniedException" });
});

test("a service cannot publish what a device cannot publish", async () => {
  await using cloud = await TestCloud.start();
  const data = cloud.data();
  for (const topic of ["a/+", "a/#", "$SYS/x", "$aws/events/presence/connected/alpha", "a/b/c/d/e/f/g/h/i"]) {
    await expect(data.send(new PublishCommand({ topic, payload: "x" }))).rejects.toMatchObject({
      name: "InvalidRequestException",
    });
  }
  const large = new PublishCommand({ topic: "a", payload: Buffer.alloc(128 * 1024 + 1) });
  await expect(data.send(large)).rejects.toMatchObject({ name: "RequestEntityTooLargeException" });
  const unsupported = { name: "NotImplemented" };
  await expect(data.send(new PublishCommand({ topic: "a", retain: true }))).rejects.toMatchObject(
    unsupported,
  );
  await expect(
    data.send(new PublishCommand({ topic: "a", payloadFormatIndicator: "UTF8_DATA" })),
  ).rejects.toMatchObject(unsupported);
  await expect(data.send(new GetRetainedMessageCommand({ topic: "a" }))).rejects.toMatchObject(unsupported);
});
