import { expect, test } from "vitest";
import { aBootImage } from "#shared/domain/testing/records.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { enrolmentsOf } from "../testing/enrolments.ts";
import { request, World } from "../testing/world.ts";
import { createEnrolmentToken } from "./enrolment-tokens.ts";

const CSR = "-----BEGIN CERTIFICATE REQUEST-----\nkey\n-----END CERTIFICATE REQUEST-----\n";

async function start() {
  const world = await World.start();
  const { store, clock, random, registry } = world;
  const tokens = apiHandler(
    {
      name: "api/enrolment-tokens",
      build: () => ({ store, clock, random }),
      operations: { createEnrolmentToken },
    },
    world.runtime,
  );
  const enrolments = enrolmentsOf(world);
  const enrol = (body: object) =>
    request(
      enrolments,
      "POST /enrolments",
      {},
      { body: { role: "source", name: "pine", csr: CSR, ...body }, as: "anyone" },
    );
  const newToken = async (role = "source") => {
    const { body } = await request(tokens, "POST /enrolment-tokens", {}, { body: { role } });
    return String(body.token);
  };
  return { world, registry, enrol, newToken };
}

test("a token can be used on a command line, whatever its random part is", async () => {
  const { newToken } = await start();
  expect(await newToken()).toMatch(/^enrol_[\w-]{43}$/);
});

test("an agent with a token gets its identity and the addresses that it needs", async () => {
  const { enrol, newToken, registry, world } = await start();
  const { status, body } = await enrol({ token: await newToken() });
  expect(status).toBe(201);
  expect(body).toMatchObject({
    agentId: expect.stringMatching(/^agt_/),
    caPem: expect.stringContaining("authority"),
    mqttEndpoint: "mqtt.local",
    roleAlias: "source-alias",
    commandKeyPem: await world.commandKey.publicKeyPem(),
    apiUrl: "http://127.0.0.1:8080",
    awsEndpoint: "http://aws.local",
  });
  expect(body.certificatePem).not.toContain("authority");
  const [certificate] = registry.certificates.values();
  expect(certificate).toEqual({ status: "ACTIVE", boundTo: [`${body.agentId} source-policy`] });
  expect(await world.store.agents.get(String(body.agentId))).toMatchObject({ role: "source", name: "pine" });
  const [id = ""] = registry.certificates.keys();
  expect((await world.store.agents.findByCertificate(id))?.id).toBe(body.agentId);
});

test("a source gets the key of the newest boot image, if there is one; a target does not", async () => {
  const { enrol, newToken, world } = await start();
  const key = async (role: string) =>
    (await enrol({ token: await newToken(role), role })).body.bootImageKeyPem;
  await world.store.bootImages.add(
    aBootImage({ id: "1".repeat(64), state: "incomplete", completedAt: undefined }),
  );
  expect(await key("source")).toBeUndefined();
  await world.store.bootImages.add(aBootImage({ id: "2".repeat(64), publicKeyPem: "old" }));
  const completedAt = "2031-01-01T00:00:00.000Z";
  await world.store.bootImages.add(aBootImage({ id: "3".repeat(64), publicKeyPem: "new", completedAt }));
  expect(await key("source")).toBe("new");
  expect(await key("target")).toBeUndefined();
});

test("the token itself is stored nowhere", async () => {
  const { newToken, world } = await start();
  const token = await newToken();
  expect(JSON.stringify([await world.audited(), world.logged])).not.toContain(token);
});

test("a token works once", async () => {
  const { enrol, newToken, registry, world } = await start();
  const token = await newToken();
  await enrol({ token });
  world.nowMs += 1000;
  const again = await enrol({ token, csr: CSR.replace("key", "other key") });
  expect(again).toMatchObject({ status: 403, body: { name: "EnrolmentRefusedError" } });
  expect(registry.certificates.size).toBe(1);
  expect(await world.audited()).toContainEqual(
    expect.stringMatching(/^anyone enrolment-refused tok_\w+ refused$/),
  );
});

test.each<[string, (token: string, world: World) => object]>([
  ["unknown", () => ({ token: "guessed" })],
  ["for the other role", (token) => ({ token, role: "target" })],
  [
    "expired",
    (token, world) => {
      world.nowMs += 86_401_000;
      return { token };
    },
  ],
])("a token that is %s is refused with the same message, and audited", async (_, change) => {
  const { enrol, newToken, world, registry } = await start();
  const refused = await enrol(change(await newToken(), world));
  expect(refused).toMatchObject({ status: 403, body: { detail: "the enrolment token is not valid" } });
  expect((await world.audited()).at(-1)).toContain("enrolment-refused");
  expect(registry.certificates.size).toBe(0);
});

test.each(["addThing", "certify", "bind", "activate"])(
  "an enrolment broken off at %s leaves no valid certificate, and the same request completes it",
  async (call) => {
    const { enrol, newToken, world, registry } = await start();
    const token = await newToken();
    world.outage.strike(call);
    expect((await enrol({ token })).status).toBe(500);
    expect([...registry.certificates.values()].filter(({ status }) => status === "ACTIVE")).toEqual([]);
    expect((await enrol({ token })).status).toBe(201);
    expect([...registry.certificates.values()].map(({ status }) => status)).toEqual(["ACTIVE"]);
  },
);

test("for a limited time, a repeated request gets the same identity again, because its answer may have been lost", async () => {
  const { enrol, newToken, world } = await start();
  const token = await newToken();
  const first = await enrol({ token });
  expect((await enrol({ token })).body).toEqual(first.body);
  world.nowMs += 601_000;
  expect((await enrol({ token })).status).toBe(403);
});

test("two requests at the same moment with one token make one agent with one valid certificate", async () => {
  const { enrol, newToken, registry } = await start();
  const token = await newToken();
  const both = await Promise.all([enrol({ token }), enrol({ token })]);
  expect(both.map(({ status }) => status)).toEqual([201, 201]);
  expect(both[0].body.certificatePem).toBe(both[1].body.certificatePem);
  const active = [...registry.certificates.values()].filter(({ status }) => status === "ACTIVE");
  expect(active).toHaveLength(1);
});

test("a malformed certificate request is named and does not use up the token", async () => {
  const { enrol, newToken } = await start();
  const token = await newToken();
  const refused = await enrol({ token, csr: "nonsense" });
  expect(refused).toMatchObject({ status: 400, body: { fields: [{ path: "csr" }] } });
  expect((await enrol({ token })).status).toBe(201);
});

test("repeating the enrolment of a revoked agent does not bring it back", async () => {
  const { enrol, newToken, registry, world } = await start();
  const token = await newToken();
  const { body } = await enrol({ token });
  const revokedAt = "2030-01-01T00:00:01.000Z";
  const agent = await world.store.agents.modify(String(body.agentId), (current) => ({
    ...current,
    revokedAt,
  }));
  await registry.revoke(agent.certificateId);
  expect((await enrol({ token })).status).toBe(403);
  expect([...registry.certificates.values()].map(({ status }) => status)).toEqual(["REVOKED"]);
});
