import { connect as connectTls } from "node:tls";
import { UpdateCertificateCommand } from "@aws-sdk/client-iot";
import { expect, test } from "vitest";
import { CertificateAuthority } from "./certificate-authority.ts";
import { TestCloud } from "./testing/cloud.ts";
import { enrol, newKeyAndCsr, TestConnection } from "./testing/device.ts";

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

test("publishing on another device's topic ends the session, reaches no device and is reported", async () => {
  await using cloud = await TestCloud.start();
  await using victim = await TestConnection.open(cloud, await enrol(cloud, "victim"));
  await victim.client.subscribeAsync("agents/victim/commands", { qos: 1 });
  const device = await enrol(cloud, "intruder");
  const intruder = await TestConnection.open(cloud, device);
  intruder.client.publish("agents/victim/commands", "forged", { qos: 1 });
  intruder.client.publish("agents/victim/events", '{"forged":true}', { qos: 1 });
  await intruder.closed();
  await victim.client.publishAsync("agents/victim/commands", "genuine", { qos: 1 });

  expect(await victim.received(1)).toEqual(["genuine"]);
  expect(cloud.payloads().filter((payload) => "forged" in payload)).toEqual([]);
  expect(cloud.refused).toContainEqual(
    expect.objectContaining({
      kind: "publish",
      clientId: "intruder",
      certificateId: device.certificateId,
      resource: "agents/victim/commands",
      reason: expect.stringContaining("not authorized to perform: iot:Publish"),
      ipAddress: "127.0.0.1",
      at: cloud.clock.now(),
    }),
  );
  await cloud.until(() => cloud.events().some((event) => event.disconnectReason === "AUTH_ERROR"));
});

test("subscribing to another device's topics ends the session", async () => {
  await using cloud = await TestCloud.start();
  await enrol(cloud, "victim");
  const device = await enrol(cloud, "intruder");
  for (const filter of ["agents/victim/commands", "agents/+/commands", "#", "$SYS/#", "$aws/rules/#"]) {
    const intruder = await TestConnection.open(cloud, device);
    intruder.client.subscribe(filter, { qos: 1 }, () => {});
    await intruder.closed();
    expect(cloud.refused.at(-1)).toMatchObject({ kind: "subscribe", resource: filter });
  }
});

test("a device cannot take another's client id, and the attempt is announced as AWS does", async () => {
  await using cloud = await TestCloud.start();
  await using victim = await TestConnection.open(cloud, await enrol(cloud, "victim"));
  const intruder = await enrol(cloud, "intruder");
  await expect(TestConnection.open(cloud, intruder, { clientId: "victim" })).rejects.toThrow(
    "Not authorized",
  );

  expect(victim.client.connected).toBe(true);
  expect(cloud.events().at(-1)).toEqual({
    clientId: "victim",
    timestamp: cloud.clock.now(),
    eventType: "connect_failed",
    connectFailureReason: "AUTHORIZATION_FAILED",
    principalIdentifier: intruder.certificateId,
    sessionIdentifier: expect.stringMatching(/^[0-9a-f-]{36}$/),
    ipAddress: "127.0.0.1",
  });
});

test("a client id that could act as a wildcard in a policy is refused", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  for (const clientId of ["*", "alpha/#", "al?ha", "", "a".repeat(129)]) {
    await expect(TestConnection.open(cloud, device, { clientId })).rejects.toThrow("Identifier rejected");
  }
  expect(cloud.events()).toEqual([]);
});

test("a revoked certificate cuts the session that it holds at once, and connects no more", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const connection = await TestConnection.open(cloud, device);
  await cloud
    .iot()
    .send(new UpdateCertificateCommand({ certificateId: device.certificateId, newStatus: "REVOKED" }));
  expect(cloud.events().at(-1)).toMatchObject({ eventType: "disconnected", disconnectReason: "AUTH_ERROR" });
  await connection.closed();
  await expect(TestConnection.open(cloud, device)).rejects.toThrow("Not authorized");
  expect(cloud.refused.map((event) => event.kind)).toEqual(["session", "connect"]);
  expect(cloud.events().at(-1)).toMatchObject({
    eventType: "connect_failed",
    principalIdentifier: device.certificateId,
  });
});

test("an inactive certificate is refused until it is activated", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const { certificateId } = device;
  await cloud.iot().send(new UpdateCertificateCommand({ certificateId, newStatus: "INACTIVE" }));
  await expect(TestConnection.open(cloud, device)).rejects.toThrow("Not authorized");
  await cloud.iot().send(new UpdateCertificateCommand({ certificateId, newStatus: "ACTIVE" }));
  await using connection = await TestConnection.open(cloud, device);
  expect(connection.client.connected).toBe(true);
});

test("a certificate of another authority does not pass the handshake", async () => {
  await using cloud = await TestCloud.start();
  const stranger = await CertificateAuthority.open(`${cloud.directory}/stranger`);
  const { key, csr } = await newKeyAndCsr("alpha");
  const { pem } = await stranger.issueFromRequest(csr);
  await expect(TestConnection.open(cloud, { name: "alpha", key, certificatePem: pem })).rejects.toThrow();
  await cloud.until(() => cloud.refused.length > 0);
  expect(cloud.refused[0]).toMatchObject({ kind: "tls" });
});

test("a second connection of a client id takes over from the first", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const first = await TestConnection.open(cloud, device);
  await using second = await TestConnection.open(cloud, device);
  await first.closed();
  expect(second.client.connected).toBe(true);
  expect(cloud.events()).toMatchObject([
    { eventType: "connected", versionNumber: 0 },
    { eventType: "disconnected", versionNumber: 0, disconnectReason: "DUPLICATE_CLIENTID" },
    { eventType: "connected", versionNumber: 1 },
  ]);
});

test("two devices with the same policy see only their own messages", async () => {
  await using cloud = await TestCloud.start();
  await using alpha = await TestConnection.open(cloud, await enrol(cloud, "alpha"));
  await using beta = await TestConnection.open(cloud, await enrol(cloud, "beta"));
  for (const connection of [alpha, beta]) {
    const name = connection.client.options.clientId;
    await connection.client.subscribeAsync(`agents/${name}/+`, { qos: 1 });
  }
  await alpha.client.publishAsync("agents/alpha/commands", "for alpha", { qos: 1 });
  await beta.client.publishAsync("agents/beta/commands", "for beta", { qos: 1 });
  expect(await alpha.received(1)).toEqual(["for alpha"]);
  expect(await beta.received(1)).toEqual(["for beta"]);
});

test("a message that a device may not receive is not delivered, although its subscription matches", async () => {
  await using cloud = await TestCloud.start();
  await cloud.addPolicy("curious", {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: ["iot:Connect", "iot:Subscribe", "iot:Publish"], Resource: "*" },
      { Effect: "Allow", Action: "iot:Receive", Resource: "arn:aws:iot:local-1:000000000000:topic/a/open" },
    ],
  });
  await using connection = await TestConnection.open(cloud, await enrol(cloud, "alpha", "curious"));
  await connection.client.subscribeAsync("a/+", { qos: 1 });
  await connection.client.publishAsync("a/secret", "no", { qos: 1 });
  await connection.client.publishAsync("a/open", "yes", { qos: 1 });
  expect(await connection.received(1)).toEqual(["yes"]);
  expect(cloud.refused).toMatchObject([{ kind: "receive", resource: "a/secret" }]);
});

test("AWS's limits end the session as a client error", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const attempts: ((connection: TestConnection) => void)[] = [
    ({ client }) => client.publish("agents/alpha/events", Buffer.alloc(128 * 1024 + 1)),
    ({ client }) => client.publish("agents/alpha/events", Buffer.alloc(1024 * 1024)),
    ({ client }) => client.publish("agents/alpha/events", "x", { qos: 2 }),
    ({ client }) => client.publish("agents/alpha/events", "x", { retain: true }),
    ({ client }) => client.publish("agents/alpha/a/b/c/d/e/f/g", "x"),
    ({ client }) => client.subscribe("agents/alpha/commands", { qos: 2 }, () => {}),
    ({ client }) =>
      client.subscribe(
        [..."123456789"].map((n) => `agents/alpha/${n}`),
        () => {},
      ),
  ];
  for (const attempt of attempts) {
    const connection = await TestConnection.open(cloud, device);
    attempt(connection);
    await connection.closed();
    const last = () => cloud.events().at(-1);
    await cloud.until(() => last()?.eventType === "disconnected");
    expect(last(), String(attempt)).toMatchObject({ disconnectReason: "CLIENT_ERROR" });
  }
  expect(cloud.refused.map((event) => event.kind)).toEqual([
    "publish",
    "protocol",
    "publish",
    "publish",
    "publish",
    "subscribe",
    "protocol",
  ]);
});

test("a payload of exactly 128 KiB passes", async () => {
  await using cloud = await TestCloud.start();
  await using connection = await TestConnection.open(cloud, await enrol(cloud, "alpha"));
  await connection.client.subscribeAsync("agents/alpha/commands", { qos: 1 });
  await connection.client.publishAsync("agents/alpha/commands", "x".repeat(128 * 1024), { qos: 1 });
  expect((await connection.received(1))[0]).toHaveLength(128 * 1024);
});

test("bytes that are not MQTT end only their own connection", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const garbage = [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Buffer.alloc(64, 0xff),
    Buffer.from([0x10, 0x02, 0x00, 0x04]),
    Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]),
    Buffer.from([0x82, 0x00]),
  ];
  for (const bytes of garbage) {
    const [host = "", port] = cloud.core.endpoints().mqtt.split(":");
    const { key, certificatePem: cert } = device;
    const socket = connectTls({
      host,
      port: Number(port),
      key,
      cert,
      ca: cloud.core.certificateAuthorityPem,
    });
    socket.on("error", () => {});
    socket.end(bytes);
    await new Promise((closed) => socket.once("close", closed).resume());
  }
  await using connection = await TestConnection.open(cloud, device);
  expect(connection.client.connected).toBe(true);
});

test("Basic Ingest runs the named rule only, with the rest as its topic, and reaches no subscriber", async () => {
  await using cloud = await TestCloud.start();
  await cloud.addRule("everything", "SELECT * FROM '#'");
  await using connection = await TestConnection.open(cloud, await enrol(cloud, "alpha"));
  await connection.client.subscribeAsync("agents/alpha/+", { qos: 1 });
  await connection.client.publishAsync("$aws/rules/ingest/agents/alpha/events", '{"n":1}', { qos: 1 });
  await cloud.until(() => cloud.payloads().some((payload) => payload.n === 1));
  await connection.client.publishAsync("agents/alpha/commands", "{}", { qos: 1 });

  expect(await connection.received(1)).toEqual(["{}"]);
  expect(cloud.payloads().filter((payload) => payload.n === 1)).toEqual([
    { n: 1, topic: "agents/alpha/events", client: "alpha" },
  ]);
});

test("Basic Ingest on another device's topic is refused by the policy on the whole topic", async () => {
  await using cloud = await TestCloud.start();
  const connection = await TestConnection.open(cloud, await enrol(cloud, "alpha"));
  connection.client.publish("$aws/rules/ingest/agents/beta/events", "{}", { qos: 1 });
  await connection.closed();
  expect(cloud.refused).toMatchObject([
    { kind: "publish", resource: "$aws/rules/ingest/agents/beta/events" },
  ]);
  expect(cloud.payloads().filter((payload) => !("eventType" in payload))).toEqual([]);
});

test("a last will that the policy does not allow refuses the connection; one that it does is published", async () => {
  await using cloud = await TestCloud.start();
  const device = await enrol(cloud, "alpha");
  const will = (topic: string) => ({
    will: { topic, payload: Buffer.from('{"gone":true}'), qos: 1 as const },
  });
  await expect(TestConnection.open(cloud, device, will("agents/beta/events"))).rejects.toThrow();
  expect(cloud.events().at(-1)).toMatchObject({ eventType: "connect_failed", clientId: "alpha" });

  const connection = await TestConnection.open(cloud, device, will("agents/alpha/events"));
  connection.client.stream.destroy();
  await cloud.until(() => cloud.payloads().some((payload) => payload.gone === true));
});
