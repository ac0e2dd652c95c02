import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createCertificateRequest } from "#agent/identity/certificate-request.ts";
import { enrol } from "#agent/identity/enrol.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { createApiClient } from "#shared/protocol/client.ts";
import type { AuditEntry, DataAccess } from "#shared/protocol/resources.ts";
import { commandsTopic, eventsTopic } from "#shared/protocol/topics.ts";
import { credentialsOf, dataOf, s3With } from "../testing/agent-clients.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { Device } from "../testing/device.ts";
import { expireEnrolmentToken } from "../testing/expire-token.ts";

let plane: ControlPlane;
let alpha: Identity;
let beta: Identity;
let host: Identity;
let otherHost: Identity;

beforeAll(async () => {
  plane = await ControlPlane.start();
  [alpha, beta, host, otherHost] = await Promise.all([
    plane.enrol("source", "alpha"),
    plane.enrol("source", "beta"),
    plane.enrol("target", "host"),
    plane.enrol("target", "other-host"),
  ]);
});
afterAll(() => plane.close());

const idOf = ({ enrolment }: Identity) => enrolment.agentId;

/** A refusal in the form in which operators must find it. */
function refusal(fits: Pick<AuditEntry, "actor" | "action"> & Partial<AuditEntry>): Promise<AuditEntry> {
  return plane.audited({ outcome: "refused", ...fits });
}

// --- MQTT
// --------------------------------------------------------------------------------------------------------

test("an agent that publishes on another agent's topic is disconnected and audited, and its message reaches no agent", async () => {
  const intruder = await Device.connect(alpha);
  const event = { type: "agent-connected", at: new Date().toISOString(), agentVersion: "forged" };
  intruder.client.publish(eventsTopic(idOf(beta)), JSON.stringify({ event }), { qos: 1 });
  await intruder.ended();
  await refusal({ actor: idOf(alpha), action: "session-refused", subject: idOf(alpha) });
  expect((await plane.api.getSource({ parameters: { id: idOf(beta) } })).agentVersion).toBeUndefined();
});

test("an agent that sends commands to another agent, or to itself, is disconnected, and none arrives", async () => {
  await using victim = await Device.connect(alpha);
  await victim.introduce();
  for (const receiver of [alpha, beta]) {
    const intruder = await Device.connect(beta);
    const forged = { type: "command", commandId: "cmd", kind: "release", input: {}, requestedBy: "ada" };
    intruder.client.publish(commandsTopic(idOf(receiver)), JSON.stringify(forged), { qos: 1 });
    await intruder.ended();
  }
  await refusal({ actor: idOf(beta), action: "session-refused" });
  expect(victim.commands).toEqual([]);
});

test("an agent that subscribes to another agent's commands, or to those of all agents, is disconnected and audited", async () => {
  for (const topic of [commandsTopic(idOf(alpha)), commandsTopic("+"), "#"]) {
    const intruder = await Device.connect(otherHost);
    intruder.client.subscribe(topic, { qos: 1 }, () => {});
    await intruder.ended();
  }
  await refusal({ actor: idOf(otherHost), action: "session-refused", subject: idOf(otherHost) });
});

test("an agent under another agent's client id does not connect, does not disturb it, and is audited by its certificate", async () => {
  await using victim = await Device.connect(alpha);
  await expect(Device.connect(beta, { clientId: idOf(alpha) })).rejects.toThrow("Not authorized");
  await refusal({ actor: idOf(beta), action: "connect-refused", subject: idOf(alpha) });
  expect(victim.client.connected).toBe(true);
});

test("no client connects without a certificate of this cloud", async () => {
  const { keyPem } = await createCertificateRequest("stranger");
  await expect(Device.connect({ ...alpha, keyPem })).rejects.toThrow();
});

// --- Events
// ------------------------------------------------------------------------------------------------------

test("an event about another agent's command, an unknown one or a malformed one changes nothing and is audited", async () => {
  await using source = await Device.connect(alpha);
  await using target = await Device.connect(host);
  await source.introduce();
  await target.introduce();
  await plane.heard(idOf(alpha), idOf(host));
  const { id } = await plane.api.startConversion({
    body: { type: "hot", sourceId: idOf(alpha), targetId: idOf(host) },
  });
  const { commandId } = await source.command("take-recovery-point");
  await using intruder = await Device.connect(beta);
  const at = new Date().toISOString();
  const failure = { name: "Forged", message: "", hint: "", retryable: false };
  await intruder.tell({ type: "command-failed", commandId, at, failure });
  await refusal({ actor: idOf(beta), action: "event-refused", subject: commandId });
  // Only the topic identifies the sender. Claims in the payload do not count, in the event or next to it.
  await intruder.tell({ type: "command-failed", commandId, at, failure, agentId: idOf(alpha) });
  await intruder.tell({ type: "command-failed", commandId, at, failure }, { agentId: idOf(alpha) });
  await intruder.tell({ type: "command-progressed", commandId: "cmd_unknown", at });
  await refusal({ actor: idOf(beta), action: "event-refused", subject: "cmd_unknown" });
  await intruder.tell({ type: "command-succeeded", at });
  await refusal({ actor: idOf(beta), action: "event-refused", subject: idOf(beta) });
  expect(await plane.api.getConversion({ parameters: { id } })).toMatchObject({ state: "running" });

  await expect(dataOf(otherHost, id)).rejects.toMatchObject({
    problem: { status: 403, name: "ForbiddenError" },
  });
  await refusal({ actor: idOf(otherHost), action: "data-access-refused", subject: idOf(alpha) });
  await readsOnly(host, await dataOf(host, id));

  await plane.api.cancelConversion({ parameters: { id } });
  await plane.ended(id);
  await expect(dataOf(host, id)).rejects.toMatchObject({ problem: { status: 403 } });
  await refusal({ actor: idOf(host), action: "data-access-refused", subject: idOf(alpha) });
});

/** The rights for one conversion: to read the one repository, and nothing else. */
async function readsOnly(identity: Identity, { bucket, prefix, credentials }: DataAccess): Promise<void> {
  const s3 = s3With(identity, credentials);
  await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
  const denied = { name: "AccessDenied" };
  const elsewhere = `sources/${idOf(beta)}/`;
  await expect(
    s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: elsewhere })),
  ).rejects.toMatchObject(denied);
  for (const command of [
    new GetObjectCommand({ Bucket: bucket, Key: `${elsewhere}key.json` }),
    new PutObjectCommand({ Bucket: bucket, Key: `${prefix}forged`, Body: "x" }),
    new DeleteObjectCommand({ Bucket: bucket, Key: `${prefix}key.json` }),
  ]) {
    await expect(s3.send(command as GetObjectCommand)).rejects.toMatchObject(denied);
  }
}

// --- Enrolment
// ---------------------------------------------------------------------------------------------------

test("an enrolment token works once and for its role only; each misuse is refused with the same message and audited", async () => {
  const anyone = { api: createApiClient({ url: plane.url }), url: plane.url, random: Math.random };
  const { id, token = "" } = await plane.api.createEnrolmentToken({ body: { role: "source" } });
  const refused = { problem: { status: 403, name: "EnrolmentRefusedError" } };
  await expect(enrol({ ...anyone, token, role: "target", name: "thief" })).rejects.toMatchObject(refused);
  await refusal({ actor: "anyone", action: "enrolment-refused", subject: id });

  await enrol({ ...anyone, token, role: "source", name: "gamma" });
  await expect(enrol({ ...anyone, token, role: "source", name: "thief" })).rejects.toMatchObject(refused);
  await expect(enrol({ ...anyone, token: "guessed", role: "source", name: "thief" })).rejects.toMatchObject(
    refused,
  );
  await refusal({ actor: "anyone", action: "enrolment-refused", subject: "unknown-token" });
  const { items } = await plane.api.listAudit({ query: { limit: 200 } });
  const misuse = items.filter((entry) => entry.subject === id && entry.outcome === "refused");
  expect(misuse.map(({ count }) => count)).toEqual([2]);
  expect(JSON.stringify(items)).not.toContain(token);
});

test("if two agents use one token at the same moment, one of them enrols", async () => {
  const anyone = { api: createApiClient({ url: plane.url }), url: plane.url, random: Math.random };
  const { token = "" } = await plane.api.createEnrolmentToken({ body: { role: "source" } });
  const both = ["delta", "thief"].map((name) => enrol({ ...anyone, token, role: "source", name }));
  const outcomes = await Promise.allSettled(both);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

// --- Revocation, and what outlives a restart
// ---------------------------------------------------------------------

test("a revoked agent is disconnected at once, gets no credentials, starts no conversion, and stays out after a restart", async () => {
  const epsilon = await plane.enrol("source", "epsilon");
  const id = idOf(epsilon);
  const device = await Device.connect(epsilon);
  await device.introduce();
  const { expiration } = await credentialsOf(epsilon);
  // Its credentials cannot be withdrawn, so they must expire soon.
  expect(expiration.getTime() - Date.now()).toBeLessThanOrEqual(15 * 60_000);

  await plane.api.revokeAgent({ parameters: { id } });
  await device.ended();
  await plane.audited({ actor: "ada", action: "agent-revoked", subject: id, outcome: "done" });
  await expect(Device.connect(epsilon)).rejects.toThrow("Not authorized");
  await refusal({ actor: id, action: "connect-refused", subject: id });
  await expect(credentialsOf(epsilon)).rejects.toThrow("403");
  await expect(
    plane.api.startConversion({ body: { type: "hot", sourceId: id, targetId: idOf(host) } }),
  ).rejects.toMatchObject({ problem: { status: 403 } });

  const expired = await plane.api.createEnrolmentToken({ body: { role: "source" } });
  await plane.restart(() => expireEnrolmentToken(plane.dir, expired.id));
  await expect(Device.connect(epsilon)).rejects.toThrow("Not authorized");
  await expect(credentialsOf(epsilon)).rejects.toThrow("403");
  expect((await plane.api.getSource({ parameters: { id } })).revokedAt).toBeDefined();

  const late = enrol({
    api: createApiClient({ url: plane.url }),
    url: plane.url,
    random: Math.random,
    token: expired.token ?? "",
    role: "source",
    name: "late",
  });
  await expect(late).rejects.toMatchObject({ problem: { status: 403, name: "EnrolmentRefusedError" } });
  await refusal({ actor: "anyone", action: "enrolment-refused", subject: expired.id });
});
