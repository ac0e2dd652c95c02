/** What an enrolled agent, a thief of its key or a stranger may not do: refused by the cloud itself, and in the audit for operators to see. */
import { DecryptCommand, GenerateDataKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { agentApi } from "#agent/cloud/agent-api.ts";
import { createCertificateRequest } from "#agent/identity/certificate-request.ts";
import { enrol } from "#agent/identity/enrol.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { certificateCredentials, type TemporaryCredentials } from "#agent/link/credentials.ts";
import { createApiClient } from "#shared/protocol/client.ts";
import type { AuditEntry, DataAccess } from "#shared/protocol/resources.ts";
import { commandsTopic, eventsTopic } from "#shared/protocol/topics.ts";
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
const credentialsOf = (identity: Identity) => certificateCredentials(identity)();

function s3With({ enrolment }: Identity, credentials: Omit<TemporaryCredentials, "expiration">): S3Client {
  const { region, awsEndpoint = "" } = enrolment;
  return new S3Client({ region, endpoint: awsEndpoint, forcePathStyle: true, credentials, maxAttempts: 1 });
}

function kmsWith({ enrolment }: Identity, credentials: Omit<TemporaryCredentials, "expiration">): KMSClient {
  const { region, awsEndpoint = "" } = enrolment;
  return new KMSClient({ region, endpoint: awsEndpoint, credentials, maxAttempts: 1 });
}

/** A refusal as operators must find it. */
function refusal(fits: Pick<AuditEntry, "actor" | "action"> & Partial<AuditEntry>): Promise<AuditEntry> {
  return plane.audited({ outcome: "refused", ...fits });
}

// --- MQTT --------------------------------------------------------------------------------------------------------

test("an agent that publishes on another agent's topic is cut off, reaches nobody, and is audited", async () => {
  const intruder = await Device.connect(alpha);
  const event = { type: "agent-connected", at: new Date().toISOString(), agentVersion: "forged" };
  intruder.client.publish(eventsTopic(idOf(beta)), JSON.stringify(event), { qos: 1 });
  await intruder.ended();
  await refusal({ actor: idOf(alpha), action: "session-refused", subject: idOf(alpha) });
  expect((await plane.api.getSource({ parameters: { id: idOf(beta) } })).agentVersion).toBeUndefined();
});

test("an agent that sends commands to another agent, or to itself, is cut off, and none arrives", async () => {
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

test("an agent that subscribes to another agent's commands, or to everybody's, is cut off and audited", async () => {
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

test("nobody connects without a certificate of this cloud", async () => {
  const { keyPem } = await createCertificateRequest("stranger");
  await expect(Device.connect({ ...alpha, keyPem })).rejects.toThrow();
});

// --- Events ------------------------------------------------------------------------------------------------------

test("an event about another agent's command, an unknown one or a malformed one changes nothing and is audited", async () => {
  await using source = await Device.connect(alpha);
  await using target = await Device.connect(host);
  await source.introduce();
  await target.introduce();
  await plane.heard(idOf(alpha), idOf(host));
  const { id } = await plane.api.startConversion({
    body: { type: "hot", sourceId: idOf(alpha), targetId: idOf(host) },
  });
  const { commandId } = await source.command("capture-disk");
  await using intruder = await Device.connect(beta);
  const at = new Date().toISOString();
  const failure = { name: "Forged", message: "", hint: "", retryable: false };
  await intruder.tell({ type: "command-failed", commandId, at, failure });
  await refusal({ actor: idOf(beta), action: "event-refused", subject: commandId });
  // The topic says who speaks, whatever the payload claims.
  await intruder.tell({ type: "command-failed", commandId, at, failure, agentId: idOf(alpha) });
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

async function dataOf(identity: Identity, conversionId: string): Promise<DataAccess> {
  const api = agentApi(identity, {
    credentials: certificateCredentials(identity),
    now: Date.now,
  });
  return api.openConversionData({ parameters: { id: conversionId } });
}

/** The rights for one conversion: to read the one repository, and nothing else. */
async function readsOnly(identity: Identity, { bucket, prefix, credentials }: DataAccess): Promise<void> {
  const s3 = s3With(identity, credentials);
  await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
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

// --- Data --------------------------------------------------------------------------------------------------------

const denied = { name: "AccessDenied" };

/** What a source's repository consists of. */
const ownObjects = (identity: Identity): string[] =>
  ["key.json", "packs/p", "points/p", "boot-states/cnv/p.json"].map(
    (name) => `sources/${idOf(identity)}/${name}`,
  );

/** A write that overwrites nothing: the only one that the bucket takes. */
const create = (Bucket: string, Key: string) =>
  new PutObjectCommand({ Bucket, Key, Body: "mine", IfNoneMatch: "*" });

async function textOf(s3: S3Client, Bucket: string, Key: string): Promise<string | undefined> {
  return (await s3.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();
}

/** Every request that could replace, hide or remove an object. */
function overwritesOf(Bucket: string, Key: string) {
  const CopySource = `${Bucket}/${Key}`;
  return [
    new PutObjectCommand({ Bucket, Key, Body: "forged" }),
    new PutObjectCommand({ Bucket, Key, Body: "forged", IfMatch: '"0123456789abcdef"' }),
    new CopyObjectCommand({ Bucket, Key, CopySource, MetadataDirective: "REPLACE" }),
    new CreateMultipartUploadCommand({ Bucket, Key }),
    new UploadPartCommand({ Bucket, Key, UploadId: "any", PartNumber: 1, Body: "forged" }),
    new CompleteMultipartUploadCommand({ Bucket, Key, UploadId: "any", MultipartUpload: { Parts: [] } }),
    new DeleteObjectCommand({ Bucket, Key }),
    new DeleteObjectCommand({ Bucket, Key, VersionId: "any" }),
  ];
}

test("a source creates what its repository consists of, once; it overwrites, hides and deletes nothing", async () => {
  const s3 = s3With(alpha, await credentialsOf(alpha));
  const { bucket } = alpha.enrolment;
  for (const key of ownObjects(alpha)) {
    await s3.send(create(bucket, key));
    await expect(s3.send(create(bucket, key)), key).rejects.toMatchObject({ name: "PreconditionFailed" });
    for (const command of overwritesOf(bucket, key)) {
      await expect(
        s3.send(command as PutObjectCommand),
        `${command.constructor.name} ${key}`,
      ).rejects.toMatchObject(denied);
    }
    expect(await textOf(s3, bucket, key)).toBe("mine");
  }
});

test("a batch of deletions removes none of a source's objects", async () => {
  const s3 = s3With(beta, await credentialsOf(beta));
  const { bucket } = beta.enrolment;
  const keys = ownObjects(beta);
  for (const key of keys) await s3.send(create(bucket, key));
  const { Deleted, Errors } = await s3.send(
    new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }),
  );
  expect(Deleted ?? []).toEqual([]);
  expect(Errors?.map(({ Code }) => Code)).toEqual(keys.map(() => "AccessDenied"));
  for (const key of keys) expect(await textOf(s3, bucket, key)).toBe("mine");
});

test("an agent's credentials reach its own prefix only, and there no mark for pruning and no other name", async () => {
  const s3 = s3With(alpha, await credentialsOf(alpha));
  const Bucket = alpha.enrolment.bucket;
  const own = `sources/${idOf(alpha)}/`;
  for (const name of [
    "pruned/p",
    "note",
    "key.json/x",
    "key.jsonx",
    "packs",
    "Packs/p",
    "points-/p",
    "../x",
  ]) {
    await expect(s3.send(create(Bucket, own + name)), name).rejects.toMatchObject(denied);
  }
  for (const Key of [
    ...ownObjects(beta),
    `sources/${idOf(alpha)}x/packs/p`,
    `evidence/${idOf(host)}/a`,
    `evidence/${idOf(alpha)}/a`,
    "note",
  ]) {
    await expect(s3.send(new GetObjectCommand({ Bucket, Key })), Key).rejects.toMatchObject(denied);
    await expect(s3.send(create(Bucket, Key)), Key).rejects.toMatchObject(denied);
  }
  for (const Prefix of [undefined, "", "sources/", `sources/${idOf(beta)}/`, `sources/${idOf(alpha)}`]) {
    await expect(s3.send(new ListObjectsV2Command({ Bucket, Prefix })), Prefix).rejects.toMatchObject(denied);
  }
  await expect(s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: own }))).rejects.toMatchObject(denied);
  // Listing goes by prefix, but versions are not told.
  expect((await s3.send(new ListObjectsV2Command({ Bucket, Prefix: own }))).KeyCount).toBeGreaterThan(0);
});

test("a target host creates its own evidence, once, and reaches no repository and no other host's", async () => {
  const s3 = s3With(host, await credentialsOf(host));
  const Bucket = host.enrolment.bucket;
  const evidence = `evidence/${idOf(host)}/cnv/log`;
  await s3.send(create(Bucket, evidence));
  for (const command of overwritesOf(Bucket, evidence)) {
    await expect(s3.send(command as PutObjectCommand), command.constructor.name).rejects.toMatchObject(
      denied,
    );
  }
  expect(await textOf(s3, Bucket, evidence)).toBe("mine");
  for (const Key of [...ownObjects(alpha), `evidence/${idOf(otherHost)}/log`]) {
    await expect(s3.send(new GetObjectCommand({ Bucket, Key })), Key).rejects.toMatchObject(denied);
    await expect(s3.send(create(Bucket, Key)), Key).rejects.toMatchObject(denied);
  }
  const list = new ListObjectsV2Command({ Bucket, Prefix: `sources/${idOf(alpha)}/` });
  await expect(s3.send(list)).rejects.toMatchObject(denied);
});

test("nobody can ask for credentials in another agent's name", async () => {
  const asBeta = { ...alpha, enrolment: { ...alpha.enrolment, agentId: idOf(beta) } };
  await expect(credentialsOf(asBeta)).rejects.toThrow("403");
  const asTarget = { ...alpha, enrolment: { ...alpha.enrolment, roleAlias: host.enrolment.roleAlias } };
  await expect(credentialsOf(asTarget)).rejects.toThrow("403");
});

test("a data key opens only for the source server that it was made for", async () => {
  const KeyId = alpha.enrolment.kmsKeyId;
  const owner = kmsWith(alpha, await credentialsOf(alpha));
  const EncryptionContext = { sourceId: idOf(alpha) };
  const { CiphertextBlob, Plaintext } = await owner.send(
    new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256", EncryptionContext }),
  );
  const opened = await owner.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
  expect(opened.Plaintext).toEqual(Plaintext);

  const denied = { name: "AccessDeniedException" };
  const stranger = kmsWith(beta, await credentialsOf(beta));
  await expect(
    stranger.send(new DecryptCommand({ CiphertextBlob, EncryptionContext })),
  ).rejects.toMatchObject(denied);
  await expect(stranger.send(new DecryptCommand({ CiphertextBlob }))).rejects.toMatchObject(denied);
  const own = { sourceId: idOf(beta) };
  await expect(
    stranger.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: own })),
  ).rejects.toMatchObject({ name: "InvalidCiphertextException" });
  await expect(
    stranger.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256", EncryptionContext })),
  ).rejects.toMatchObject(denied);
  const target = kmsWith(host, await credentialsOf(host));
  await expect(target.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }))).rejects.toMatchObject(
    denied,
  );
});

test("a source agent may not ask for data of conversions at all, nor anybody with a broken signature", async () => {
  await expect(dataOf(alpha, "cnv_any")).rejects.toMatchObject({ problem: { status: 403 } });
  const forged = async () => ({ ...(await credentialsOf(host)), secretAccessKey: "wrong" });
  const api = agentApi(host, { credentials: forged, now: Date.now });
  await expect(api.openConversionData({ parameters: { id: "cnv_any" } })).rejects.toMatchObject({
    problem: { status: 403 },
  });
  expect((await plane.http("POST", "/conversions/cnv_any/data-access")).status).toBe(403);
});

// --- Enrolment ---------------------------------------------------------------------------------------------------

test("an enrolment token works once and for its role only; each misuse is refused in the same words and audited", async () => {
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
  expect(items.filter((entry) => entry.subject === id && entry.outcome === "refused")).toHaveLength(2);
  expect(JSON.stringify(items)).not.toContain(token);
});

test("two agents that show one token at the same moment: one enrols", async () => {
  const anyone = { api: createApiClient({ url: plane.url }), url: plane.url, random: Math.random };
  const { token = "" } = await plane.api.createEnrolmentToken({ body: { role: "source" } });
  const both = ["delta", "thief"].map((name) => enrol({ ...anyone, token, role: "source", name }));
  const outcomes = await Promise.allSettled(both);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

// --- Revocation, and what outlives a restart ---------------------------------------------------------------------

test("a revoked agent is cut off at once, gets no credentials, starts no conversion, and stays out after a restart", async () => {
  const epsilon = await plane.enrol("source", "epsilon");
  const id = idOf(epsilon);
  const device = await Device.connect(epsilon);
  await device.introduce();
  const { expiration } = await credentialsOf(epsilon);
  // What it holds cannot be taken back: it must not last.
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
