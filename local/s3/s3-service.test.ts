import {
  GetObjectAclCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AwsError } from "../core/aws-error.ts";
import { TestWorld } from "./testing/s3-world.ts";

const Bucket = "served";
let world: TestWorld;
beforeAll(async () => {
  world = await TestWorld.start();
  await world.bucket(Bucket);
});
afterAll(() => world.stop());

const unsupported = { name: "NotImplemented", $metadata: { httpStatusCode: 501 } };

test("an unsupported parameter or header is refused, not ignored", async () => {
  const address = { Bucket, Key: "k" };
  const { client } = world;
  await expect(client.send(new GetObjectAclCommand(address))).rejects.toMatchObject(unsupported);
  await expect(client.send(new ListObjectsCommand({ Bucket }))).rejects.toMatchObject(unsupported);
  await expect(client.send(new ListBucketsCommand({}))).rejects.toMatchObject({ name: "MethodNotAllowed" });
  const tagging = new PutObjectTaggingCommand({ ...address, Tagging: { TagSet: [] } });
  await expect(client.send(tagging)).rejects.toMatchObject(unsupported);
  const part = { ...address, CopySource: "served/k", PartNumber: 1, UploadId: "u" };
  await expect(client.send(new UploadPartCopyCommand(part))).rejects.toMatchObject(unsupported);
  const put = (options: object) => client.send(new PutObjectCommand({ ...address, Body: "x", ...options }));
  await expect(put({ Tagging: "a=b" })).rejects.toMatchObject(unsupported);
  await expect(put({ ACL: "public-read" })).rejects.toMatchObject(unsupported);
  await expect(put({ StorageClass: "GLACIER" })).rejects.toMatchObject(unsupported);
  await expect(put({ ObjectLockMode: "GOVERNANCE" })).rejects.toMatchObject(unsupported);
  await expect(put({ IfNoneMatch: '"etag"' })).rejects.toMatchObject(unsupported);
  const get = new GetObjectCommand({ ...address, ResponseContentType: "text/html" });
  await expect(client.send(get)).rejects.toMatchObject(unsupported);
});

test("errors are XML with a code, a message and the request's id", async () => {
  const answer = await world.raw(["GET /none/k HTTP/1.1\r\nhost: s3\r\nconnection: close\r\n\r\n"]);
  expect(answer).toContain("HTTP/1.1 404");
  expect(answer).toMatch(/<Error><Code>NoSuchBucket<\/Code><Message>.+<\/Message><Resource>\/none\/k</);
  const id = /x-amz-request-id: (\S+)/.exec(answer)?.[1] ?? "none";
  expect(answer).toContain(`<RequestId>${id}</RequestId>`);
});

test("an unexpected error reveals nothing about the inside", () => {
  const rendered = world.service.renderError(new Error("secret path"), { method: "GET", path: "/b/k" });
  expect(rendered.status).toBe(500);
  expect(String(rendered.body)).toContain("<Code>InternalError</Code>");
  expect(String(rendered.body)).not.toContain("secret");
});

test.each([
  "../../../etc/passwd",
  "..",
  ".",
  "a//b",
  "/leading",
  "trailing/",
  "a/../b",
  "%2e%2e/%2f",
  "a@b",
  "%long/x",
  "ünï/\u{1f600}",
  "tab\tand\u0001control",
  "k".repeat(1024),
  `${"é".repeat(90)}/`.repeat(5),
  `${"a/".repeat(511)}x`,
])("the key %j stays inside its bucket's folder and reads back", async (Key) => {
  const before = await world.files();
  await world.client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
  const { Body } = await world.client.send(new GetObjectCommand({ Bucket, Key }));
  expect(await Body?.transformToString()).toBe(Key);
  const added = (await world.files()).filter((file) => !before.includes(file));
  expect(added).toHaveLength(1);
  expect(added[0]).toMatch(/^buckets\/served\//);
});

test("a key beyond 1024 bytes is too long", async () => {
  const put = new PutObjectCommand({ Bucket, Key: `${"k".repeat(1023)}ü`, Body: "x" });
  await expect(world.client.send(put)).rejects.toMatchObject({ name: "KeyTooLongError" });
});

test("keys that only differ in what a file system folds are different objects", async () => {
  const keys = ["fold/a", "fold//a", "fold/./a", "fold/A", "fold/a/", "fold/%61"];
  for (const Key of keys) await world.client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
  for (const Key of keys) {
    const { Body } = await world.client.send(new GetObjectCommand({ Bucket, Key }));
    expect(await Body?.transformToString()).toBe(Key);
  }
});

test("the fault port can fail a request, cut it off, or lose the answer of one that was carried out", async () => {
  const put = (Key: string) => world.client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
  const exists = (Key: string) => world.client.send(new HeadObjectCommand({ Bucket, Key }));
  world.fault = async ({ operation, bucket, key }) => {
    expect([operation, bucket, key]).toEqual(["PutObject", Bucket, "slow"]);
    throw new AwsError("SlowDown", "Please reduce your request rate.", 503);
  };
  await expect(put("slow")).rejects.toMatchObject({ name: "SlowDown", $metadata: { httpStatusCode: 503 } });
  world.fault = async () => "reset";
  await expect(put("cut")).rejects.toMatchObject({ code: "ECONNRESET" });
  world.fault = async () => "lose-answer";
  await expect(put("lost")).rejects.toMatchObject({ code: "ECONNRESET" });
  world.fault = async () => undefined;
  await expect(exists("slow")).rejects.toMatchObject({ name: "NotFound" });
  await expect(exists("cut")).rejects.toMatchObject({ name: "NotFound" });
  await exists("lost");
});
