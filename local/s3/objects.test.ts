import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestWorld } from "./testing/s3-world.ts";

let world: TestWorld;
beforeAll(async () => {
  world = await TestWorld.start();
  await world.bucket("plain");
});
afterAll(() => world.stop());

const at = (Key: string) => ({ Bucket: "plain", Key });

async function bodyOf(key: string, options: { Range?: string } = {}): Promise<Buffer> {
  const { Body } = await world.client.send(new GetObjectCommand({ ...at(key), ...options }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

test("an object comes back byte for byte with its metadata, under the SDK's default checksums", async () => {
  const body = randomBytes(3_000_000);
  const put = await world.client.send(
    new PutObjectCommand({
      ...at("folder/one"),
      Body: body,
      ContentType: "text/x-test",
      CacheControl: "no-store",
      Metadata: { colour: "green" },
    }),
  );
  expect(put.ChecksumCRC32).toMatch(/=$/);
  const got = await world.client.send(new GetObjectCommand(at("folder/one")));
  expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(body)).toBe(true);
  expect(got).toMatchObject({
    ContentType: "text/x-test",
    CacheControl: "no-store",
    ContentLength: body.length,
    Metadata: { colour: "green" },
    ETag: put.ETag,
    ChecksumCRC32: put.ChecksumCRC32,
    ServerSideEncryption: "AES256",
  });
  expect(got.ContentEncoding).toBeUndefined();
});

test("the content is a plain file that a person can find", async () => {
  await world.client.send(new PutObjectCommand({ ...at("servers/s1/pack 7"), Body: "bytes" }));
  const folder = path.join(world.folder, "buckets/plain/servers/s1");
  const [file = ""] = await readdir(folder);
  expect(file).toMatch(/^pack%207@/);
  expect(await readFile(path.join(folder, file), "utf8")).toBe("bytes");
});

test.each(["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const)(
  "a stream with a %s trailer is decoded, checked and keeps its checksum",
  async (ChecksumAlgorithm) => {
    const body = randomBytes(200_000);
    const Body = Readable.from([body.subarray(0, 70_000), body.subarray(70_000)]);
    const sent = { ...at("streamed"), Body, ContentLength: body.length, ChecksumAlgorithm };
    const put = await world.client.send(new PutObjectCommand(sent));
    expect(put[`Checksum${ChecksumAlgorithm}`]).toBeDefined();
    // The client validates this answer against the checksum in the header.
    expect((await bodyOf("streamed")).equals(body)).toBe(true);
  },
);

test("ranges give the bytes asked for and say which", async () => {
  await world.client.send(new PutObjectCommand({ ...at("digits"), Body: "0123456789" }));
  const middle = await world.client.send(new GetObjectCommand({ ...at("digits"), Range: "bytes=2-4" }));
  expect(middle).toMatchObject({ ContentRange: "bytes 2-4/10", ContentLength: 3 });
  expect(middle.$metadata.httpStatusCode).toBe(206);
  expect(await middle.Body?.transformToString()).toBe("234");
  expect((await bodyOf("digits", { Range: "bytes=7-" })).toString()).toBe("789");
  expect((await bodyOf("digits", { Range: "bytes=-3" })).toString()).toBe("789");
  expect((await bodyOf("digits", { Range: "bytes=-99" })).toString()).toBe("0123456789");
  expect((await bodyOf("digits", { Range: "bytes=8-99" })).toString()).toBe("89");
  await expect(bodyOf("digits", { Range: "bytes=10-" })).rejects.toMatchObject({ name: "InvalidRange" });
});

test("an empty object is an object", async () => {
  await world.client.send(new PutObjectCommand({ ...at("empty"), Body: "" }));
  expect(await bodyOf("empty")).toHaveLength(0);
  const head = await world.client.send(new HeadObjectCommand(at("empty")));
  expect(head.ContentLength).toBe(0);
});

test("conditional reads answer 304 and 412", async () => {
  const { ETag = "" } = await world.client.send(new PutObjectCommand({ ...at("conditional"), Body: "x" }));
  const get = (conditions: object) =>
    world.client.send(new GetObjectCommand({ ...at("conditional"), ...conditions }));
  await expect(get({ IfNoneMatch: ETag })).rejects.toMatchObject({ $metadata: { httpStatusCode: 304 } });
  await expect(get({ IfMatch: '"other"' })).rejects.toMatchObject({ name: "PreconditionFailed" });
  await expect(get({ IfUnmodifiedSince: new Date(0) })).rejects.toMatchObject({ name: "PreconditionFailed" });
  expect((await get({ IfMatch: ETag, IfNoneMatch: '"other"' })).ETag).toBe(ETag);
});

test("a conditional put is refused if the object exists, or has another entity tag than the given one", async () => {
  const put = (conditions: object) =>
    world.client.send(new PutObjectCommand({ ...at("guarded"), Body: "x", ...conditions }));
  await expect(put({ IfMatch: '"none"' })).rejects.toMatchObject({ name: "NoSuchKey" });
  const { ETag } = await put({ IfNoneMatch: "*" });
  await expect(put({ IfNoneMatch: "*" })).rejects.toMatchObject({ name: "PreconditionFailed" });
  await expect(put({ IfMatch: '"stale"' })).rejects.toMatchObject({ name: "PreconditionFailed" });
  const second = await put({ IfMatch: ETag });
  expect(second.ETag).not.toBe(ETag);
});

test("of many conditional puts at once exactly one wins, and its body is the object's", async () => {
  const attempts = Array.from({ length: 12 }, (_, index) =>
    world.client
      .send(new PutObjectCommand({ ...at("race"), Body: `body ${index}`, IfNoneMatch: "*" }))
      .then(() => `body ${index}`)
      .catch((error: Error) => error.name),
  );
  const results = await Promise.all(attempts);
  const winners = results.filter((result) => result !== "PreconditionFailed");
  expect(winners).toHaveLength(1);
  expect((await bodyOf("race")).toString()).toBe(winners[0]);
});

test("replacing and deleting without versioning leaves no content behind", async () => {
  for (const Body of ["first", "second"])
    await world.client.send(new PutObjectCommand({ ...at("gone/x"), Body }));
  const folder = path.join(world.folder, "buckets/plain/gone");
  expect(await readdir(folder)).toHaveLength(1);
  await world.client.send(new DeleteObjectCommand(at("gone/x")));
  expect(await readdir(folder)).toHaveLength(0);
  await expect(bodyOf("gone/x")).rejects.toMatchObject({ name: "NoSuchKey" });
  await world.client.send(new DeleteObjectCommand(at("gone/x")));
});

test("a content that is being read stays whole when its object is deleted", async () => {
  const body = randomBytes(8_000_000);
  await world.client.send(new PutObjectCommand({ ...at("read-then-deleted"), Body: body }));
  const { Body } = await world.client.send(new GetObjectCommand(at("read-then-deleted")));
  await world.client.send(new DeleteObjectCommand(at("read-then-deleted")));
  expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(body)).toBe(true);
});

test("readers of an object that is being replaced get one of its contents, never an error", async () => {
  const bodies = Array.from({ length: 10 }, (_, index) => Buffer.alloc(100_000, index));
  await world.client.send(new PutObjectCommand({ ...at("replaced"), Body: bodies[0] }));
  let writing = true;
  const reader = async () => {
    while (writing) {
      const bytes = await bodyOf("replaced");
      expect(bodies[bytes[0] ?? 255]?.equals(bytes)).toBe(true);
    }
  };
  const readers = Promise.all([reader(), reader()]);
  for (const Body of bodies) await world.client.send(new PutObjectCommand({ ...at("replaced"), Body }));
  writing = false;
  await readers;
});

test("many objects are deleted at once, and a refusal names its key", async () => {
  for (const key of ["many/a", "many/b & <c>"])
    await world.client.send(new PutObjectCommand({ ...at(key), Body: "x" }));
  world.denies = ({ resource }) => resource.endsWith("many/secret");
  const Objects = [{ Key: "many/a" }, { Key: "many/b & <c>" }, { Key: "many/secret" }];
  const result = await world.client.send(new DeleteObjectsCommand({ Bucket: "plain", Delete: { Objects } }));
  world.denies = () => false;
  expect(result.Deleted).toEqual([{ Key: "many/a" }, { Key: "many/b & <c>" }]);
  expect(result.Errors).toMatchObject([{ Key: "many/secret", Code: "AccessDenied" }]);
  const left = await world.client.send(new ListObjectsV2Command({ Bucket: "plain", Prefix: "many/" }));
  expect(left.KeyCount).toBe(0);
});

test("a copy has the bytes and metadata of its source, or the metadata it is given", async () => {
  const body = randomBytes(100_000);
  await world.client.send(new PutObjectCommand({ ...at("from/ä+1"), Body: body, Metadata: { a: "1" } }));
  const CopySource = `plain/${encodeURIComponent("from/ä+1")}`;
  const copy = await world.client.send(new CopyObjectCommand({ ...at("to"), CopySource }));
  expect(copy.CopyObjectResult?.ETag).toBeDefined();
  expect((await bodyOf("to")).equals(body)).toBe(true);
  expect((await world.client.send(new HeadObjectCommand(at("to")))).Metadata).toEqual({ a: "1" });
  const replaced = { ...at("to"), CopySource, MetadataDirective: "REPLACE", Metadata: { b: "2" } } as const;
  await world.client.send(new CopyObjectCommand(replaced));
  expect((await world.client.send(new HeadObjectCommand(at("to")))).Metadata).toEqual({ b: "2" });
  await expect(
    world.client.send(new CopyObjectCommand({ ...at("to"), CopySource: "plain/none" })),
  ).rejects.toMatchObject({ name: "NoSuchKey" });
});

test("HeadBucket, GetBucketLocation and GetBucketVersioning describe a bucket", async () => {
  const Bucket = "plain";
  await world.client.send(new HeadBucketCommand({ Bucket }));
  expect((await world.client.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint).toBe(
    "local-1",
  );
  expect((await world.client.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBeUndefined();
  const none = { Bucket: "no-such-bucket", Key: "x" };
  await expect(world.client.send(new GetObjectCommand(none))).rejects.toMatchObject({ name: "NoSuchBucket" });
});
