/**
 * What agents' temporary AWS credentials allow in the bucket, with data keys and in the API: only their own
 * scope.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DecryptCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms";
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
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { agentApi } from "#agent/cloud/agent-api.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { credentialsOf, dataOf, kmsWith, s3With } from "../testing/agent-clients.ts";
import { ControlPlane } from "../testing/control-plane.ts";

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

const denied = { name: "AccessDenied" };

/** What a source's repository consists of. */
const ownObjects = (identity: Identity): string[] =>
  ["key.json", "packs/p", "points/p", "boot-states/cnv/p.json"].map(
    (name) => `sources/${idOf(identity)}/${name}`,
  );

/** A write that overwrites nothing, the only kind that the bucket accepts. */
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

test("a source can create each object of its repository once, and cannot overwrite, hide or delete any", async () => {
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

test("an agent's credentials reach only its own prefix, and there neither marks for pruning nor other names", async () => {
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

test("a target host can create its own evidence once, and reaches no repository and no other host's evidence", async () => {
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

test("no agent can ask for credentials in another agent's name", async () => {
  const asBeta = { ...alpha, enrolment: { ...alpha.enrolment, agentId: idOf(beta) } };
  await expect(credentialsOf(asBeta)).rejects.toThrow("403");
  const asTarget = { ...alpha, enrolment: { ...alpha.enrolment, roleAlias: host.enrolment.roleAlias } };
  await expect(credentialsOf(asTarget)).rejects.toThrow("403");
});

test("a data key can be unwrapped only for its own source server", async () => {
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

test("neither a source agent nor a caller with a wrong signature may ask for a conversion's data", async () => {
  await expect(dataOf(alpha, "cnv_any")).rejects.toMatchObject({ problem: { status: 403 } });
  const forged = async () => ({ ...(await credentialsOf(host)), secretAccessKey: "wrong" });
  const api = agentApi(host, { credentials: forged, now: Date.now });
  await expect(api.openOwnerData({ parameters: { id: "cnv_any" } })).rejects.toMatchObject({
    problem: { status: 403 },
  });
  expect((await plane.http("POST", "/owners/cnv_any/data-access")).status).toBe(403);
});

test("only a target host may ask for a lease, and gets none of what is not its own", async () => {
  const asked = (identity: Identity) =>
    agentApi(identity, { credentials: () => credentialsOf(identity), now: Date.now }).renewLease({
      ...{ parameters: { id: "rcv_any" }, body: { term: 1 } },
    });
  await expect(asked(alpha)).rejects.toMatchObject({ problem: { status: 403, name: "Http403" } });
  await expect(asked(host)).rejects.toMatchObject({ problem: { status: 404, name: "NotFoundError" } });
});

test("the access log names route, outcome and caller of each request, refused ones included", async () => {
  await plane.http("GET", "/sources");
  await plane.http("GET", "/sources", { token: "forged" });
  await expect(dataOf(alpha, "cnv_logged")).rejects.toMatchObject({ problem: { status: 403 } });
  const log = readFileSync(join(plane.dir, "logs", "http-api-access.jsonl"), "utf8")
    .trim()
    .split("\n");
  const lines = log.map((line) => JSON.parse(JSON.parse(line).message));
  const common = { requestId: expect.stringMatching(/\w/), ip: expect.stringMatching(/127\.0\.0\.1$/) };
  const listing = { ...common, routeKey: "GET /sources", principal: "-" };
  expect(lines).toContainEqual(
    expect.objectContaining({ ...listing, status: "200", error: "-", sub: expect.stringMatching(/\w/) }),
  );
  expect(lines).toContainEqual(
    expect.objectContaining({ ...listing, status: "401", error: expect.stringMatching(/\w/), sub: "-" }),
  );
  expect(lines).toContainEqual(
    expect.objectContaining({
      ...{
        ...common,
        routeKey: "POST /owners/{id}/data-access",
        path: "/owners/cnv_logged/data-access",
      },
      ...{ status: "403", sub: "-", error: expect.stringMatching(/\w/) },
      principal: expect.stringContaining("assumed-role"),
    }),
  );
});
