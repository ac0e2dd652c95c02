import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { CODE_LETTERS } from "#shared/protocol/enrolment-request.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { enrolmentsOf } from "../testing/enrolments.ts";
import { request, World } from "../testing/world.ts";
import { approveEnrolment, listEnrolmentRequests, requestEnrolment } from "./enrolment-requests.ts";

const CSR = "-----BEGIN CERTIFICATE REQUEST-----\nkey\n-----END CERTIFICATE REQUEST-----\n";
const MINUTE_MS = 60_000;
const machine = {
  name: "ProLiant DL380 (CZ1234)",
  macAddresses: ["52:54:00:ca:05:e1"],
  disks: [{ name: "sda", sizeBytes: 2 ** 31, model: "SSD" }],
};

async function start() {
  const world = await World.start();
  const { store, clock, registry } = world;
  // The world's counter instead of randomness would give only a few different codes.
  const random = (length: number) => randomBytes(length);
  const requests = apiHandler(
    {
      name: "api/enrolment-requests",
      build: () => ({ store, clock, random }),
      operations: { requestEnrolment, listEnrolmentRequests, approveEnrolment },
    },
    world.runtime,
  );
  const claims = enrolmentsOf(world);
  const ask = async (change: object = {}, from = "192.0.2.1") => {
    const body = { ...machine, csr: CSR, ...change };
    return request(requests, "POST /enrolment-requests", {}, { body, as: "anyone", from });
  };
  const asked = async () => (await ask()).body as { id: string; code: string; secret: string };
  const approve = (code: string) => request(requests, "POST /enrolment-approvals", {}, { body: { code } });
  const claim = (id: string, secret: string) =>
    request(claims, "POST /enrolment-requests/{id}/claim", { id }, { body: { secret }, as: "anyone" });
  const pending = async () =>
    (await request(requests, "GET /enrolment-requests", {}, {})).body.items as Record<string, unknown>[];
  const active = () => [...registry.certificates.values()].filter(({ status }) => status === "ACTIVE");
  return { world, ask, asked, approve, claim, pending, active };
}

test("a machine shows a code, an operator approves it, and the machine becomes a source that runs the boot environment", async () => {
  const { world, ask, approve, claim, active } = await start();
  const { status, body: offer } = await ask();
  expect(status).toBe(201);
  expect(offer).toMatchObject({
    id: expect.stringMatching(/^enr_/),
    code: expect.stringMatching(new RegExp(`^[${CODE_LETTERS}]{4}-[${CODE_LETTERS}]{4}$`)),
    expiresAt: "2030-01-01T00:15:00.000Z",
    pollSeconds: 5,
  });
  const [id, code, secret] = [String(offer.id), String(offer.code), String(offer.secret)];
  expect(await claim(id, secret)).toMatchObject({ status: 200, body: { state: "pending" } });
  expect(active()).toEqual([]);
  const { status: approvedStatus, body: request } = await approve(code.toLowerCase().replace("-", " "));
  expect(approvedStatus).toBe(201);
  expect(request).toMatchObject({ id, state: "approved", machine, address: "192.0.2.1", approvedBy: "ada" });
  const { body: answer } = await claim(id, secret);
  expect(answer).toMatchObject({
    state: "claimed",
    enrolment: { agentId: request.sourceId, roleAlias: "source-alias", mqttEndpoint: "mqtt.local" },
  });
  expect(active()).toEqual([{ status: "ACTIVE", boundTo: [`${request.sourceId} source-policy`] }]);
  expect(await world.store.agents.get(String(request.sourceId))).toMatchObject({
    role: "source",
    name: machine.name,
    enrolledFrom: "boot-environment",
    environment: "boot-environment",
    approvedPorts: machine.macAddresses,
  });
  expect(await world.audited()).toEqual([
    `anyone enrolment-requested ${id} done`,
    `ada enrolment-approved ${id} done`,
    `${request.sourceId} agent-enrolled ${request.sourceId} done`,
  ]);
});

test("operators see the waiting machines, but not their codes, which only the machines' screens show", async () => {
  const { world, asked, pending, approve } = await start();
  const { code, secret } = await asked();
  world.nowMs += MINUTE_MS;
  const second = await asked();
  const items = await pending();
  expect(items.map(({ id, state }) => [id, state])).toEqual([
    [second.id, "pending"],
    [expect.any(String), "pending"],
  ]);
  await approve(second.code);
  expect(await pending()).toHaveLength(1);
  world.nowMs += 14.5 * MINUTE_MS;
  expect(await pending()).toEqual([]);
  const kept = JSON.stringify([items, await world.audited(), world.logged]);
  for (const secretText of [code, code.replace("-", ""), secret]) expect(kept).not.toContain(secretText);
});

test("a code that no machine shows is not found, and the guess is audited", async () => {
  const { world, asked, approve } = await start();
  const { code } = await asked();
  const other = `${code.startsWith("B") ? "C" : "B"}${code.slice(1)}`;
  expect((await approve(other)).status).toBe(404);
  expect((await world.audited()).at(-1)).toBe("ada enrolment-approval-refused unknown-code refused");
  const nonsense = await approve("HELLO-1");
  expect(nonsense).toMatchObject({ status: 400, body: { fields: [{ path: "code" }] } });
});

test("a code works once", async () => {
  const { world, asked, approve, claim, active } = await start();
  const { id, code, secret } = await asked();
  await approve(code);
  expect(await approve(code)).toMatchObject({ status: 409, body: { name: "WrongStateError" } });
  await claim(id, secret);
  world.nowMs += 1000;
  expect((await approve(code)).status).toBe(409);
  expect(active()).toHaveLength(1);
  expect(await world.audited()).toContain(`ada enrolment-approval-refused ${id} refused`);
});

test("if two operators approve at the same moment, one of them learns that the code was already approved", async () => {
  const { asked, approve } = await start();
  const { code } = await asked();
  const both = await Promise.all([approve(code), approve(code)]);
  expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
});

test("an expired code cannot be approved, and its machine learns that it must make a new request", async () => {
  const { world, asked, approve, claim } = await start();
  const { id, code, secret } = await asked();
  world.nowMs += 15 * MINUTE_MS + 1;
  expect(await approve(code)).toMatchObject({ status: 409, body: { detail: "this code has expired" } });
  expect(await claim(id, secret)).toMatchObject({ status: 409, body: { name: "WrongStateError" } });
});

test("an approval that the machine does not use in time expires", async () => {
  const { world, asked, approve, claim, active } = await start();
  const { id, code, secret } = await asked();
  world.nowMs += 14 * MINUTE_MS;
  await approve(code);
  // The machine's network may be down when the first lifetime ends.
  world.nowMs += 14 * MINUTE_MS;
  expect((await claim(id, secret)).status).toBe(200);
  const late = await asked();
  await approve(late.code);
  world.nowMs += 15 * MINUTE_MS + 1;
  expect((await claim(late.id, late.secret)).status).toBe(409);
  expect(active()).toHaveLength(1);
});

test("a wrong secret claims nothing, and the answer does not say whether the request exists", async () => {
  const { world, asked, approve, claim, active } = await start();
  const mine = await asked();
  const theirs = await asked();
  await approve(theirs.code);
  const wrong = await claim(theirs.id, mine.secret);
  expect(wrong).toMatchObject({ status: 403, body: { name: "EnrolmentClaimRefusedError" } });
  expect((await claim("enr_nothing", mine.secret)).body).toEqual(wrong.body);
  expect(active()).toEqual([]);
  expect(await world.audited()).toContain(`anyone enrolment-claim-refused ${theirs.id} refused`);
  expect((await claim(theirs.id, theirs.secret)).status).toBe(200);
});

test("for a limited time, a repeated claim gets the same identity again, because its answer may have been lost", async () => {
  const { world, asked, approve, claim, active } = await start();
  const { id, code, secret } = await asked();
  await approve(code);
  const first = await claim(id, secret);
  expect((await claim(id, secret)).body).toEqual(first.body);
  expect(active()).toHaveLength(1);
  world.nowMs += 10 * MINUTE_MS + 1;
  expect((await claim(id, secret)).status).toBe(403);
});

test.each(["addThing", "certify", "bind", "activate"])(
  "a claim broken off at %s leaves no valid certificate, and the next one completes it",
  async (call) => {
    const { world, asked, approve, claim, active } = await start();
    const { id, code, secret } = await asked();
    await approve(code);
    world.outage.strike(call);
    expect((await claim(id, secret)).status).toBe(500);
    expect(active()).toEqual([]);
    expect((await claim(id, secret)).status).toBe(200);
    expect(world.registry.certificates.size).toBe(1);
  },
);

test("claiming again does not bring back a machine that was revoked", async () => {
  const { world, asked, approve, claim, active } = await start();
  const { id, code, secret } = await asked();
  const { body } = await approve(code);
  await claim(id, secret);
  const agent = await world.store.agents.modify(String(body.sourceId), (current) => ({
    ...current,
    revokedAt: "2030-01-01T00:00:01.000Z",
  }));
  await world.registry.revoke(agent.certificateId);
  expect((await claim(id, secret)).status).toBe(403);
  expect(active()).toEqual([]);
});

test("one address cannot fill the list for all other addresses, and the refusals do not fill the audit", async () => {
  const { world, ask } = await start();
  for (let count = 0; count < 20; count++) expect((await ask()).status).toBe(201);
  const refused = await ask();
  expect(refused).toMatchObject({ status: 429, body: { name: "TooManyEnrolmentRequestsError" } });
  await ask();
  expect((await world.audited()).filter((entry) => entry.includes("enrolment-request-refused"))).toEqual([
    "anyone enrolment-request-refused 192.0.2.1 refused",
  ]);
  expect((await ask({}, "192.0.2.2")).status).toBe(201);
  world.nowMs += 16 * MINUTE_MS;
  expect((await ask()).status).toBe(201);
});

test("at most a hundred machines wait, from all addresses together", async () => {
  const { ask } = await start();
  for (let count = 0; count < 100; count++) {
    expect((await ask({}, `192.0.2.${count % 10}`)).status).toBe(201);
  }
  expect((await ask({}, "198.51.100.1")).status).toBe(429);
});

test.each([
  ["a name that moves the cursor", { name: "pine\u001b[2J" }, "name"],
  ["a name that reverses the writing direction", { name: "pine\u202e" }, "name"],
  ["an invalid hardware address", { macAddresses: ["x"] }, "macAddresses.0"],
  ["no certificate request", { csr: "" }, "csr"],
])("%s is refused, and the field is named", async (_, change, path) => {
  const { ask } = await start();
  expect(await ask(change)).toMatchObject({ status: 400, body: { fields: [{ path }] } });
});
