import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TestWorld } from "./testing/s3-world.ts";

let world: TestWorld;
beforeEach(async () => {
  world = await TestWorld.start();
  await world.bucket("versioned", { VersioningConfiguration: { Status: "Enabled" } });
});
afterEach(() => world.stop());

const Bucket = "versioned";

async function put(Key: string, Body: string): Promise<string> {
  const { VersionId } = await world.client.send(new PutObjectCommand({ Bucket, Key, Body }));
  return VersionId ?? "";
}

async function read(Key: string, VersionId?: string): Promise<string | undefined> {
  const { Body } = await world.client.send(new GetObjectCommand({ Bucket, Key, VersionId }));
  return Body?.transformToString();
}

test("every version can be read, and removing the newest brings the one before back", async () => {
  const first = await put("k", "one");
  const second = await put("k", "two");
  expect(await read("k")).toBe("two");
  expect(await read("k", first)).toBe("one");
  await world.client.send(new DeleteObjectCommand({ Bucket, Key: "k", VersionId: second }));
  expect(await read("k")).toBe("one");
  await expect(read("k", second)).rejects.toMatchObject({ name: "NoSuchVersion" });
});

test("a delete hides the object behind a marker, and removing the marker undeletes it", async () => {
  const version = await put("k", "one");
  const { DeleteMarker, VersionId } = await world.client.send(new DeleteObjectCommand({ Bucket, Key: "k" }));
  expect(DeleteMarker).toBe(true);
  await expect(read("k")).rejects.toMatchObject({ name: "NoSuchKey" });
  await expect(read("k", VersionId)).rejects.toMatchObject({ name: "MethodNotAllowed" });
  expect(await read("k", version)).toBe("one");
  expect((await world.client.send(new ListObjectsV2Command({ Bucket }))).KeyCount).toBe(0);
  await world.client.send(new DeleteObjectCommand({ Bucket, Key: "k", VersionId }));
  expect(await read("k")).toBe("one");
});

test("a conditional put succeeds where only a delete marker is", async () => {
  await put("k", "one");
  await world.client.send(new DeleteObjectCommand({ Bucket, Key: "k" }));
  await world.client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "new", IfNoneMatch: "*" }));
  expect(await read("k")).toBe("new");
});

test("versions list by key, newest first, page by page", async () => {
  const versions = [await put("a", "1"), await put("a", "2"), await put("b", "3")];
  await world.client.send(new DeleteObjectCommand({ Bucket, Key: "b" }));
  const all = await world.client.send(new ListObjectVersionsCommand({ Bucket }));
  const listed = all.Versions?.map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest]);
  expect(listed).toEqual([
    ["a", versions[1], true],
    ["a", versions[0], false],
    ["b", versions[2], false],
  ]);
  expect(all.DeleteMarkers).toMatchObject([{ Key: "b", IsLatest: true }]);
  const paged: (string | undefined)[] = [];
  let marker: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
  for (;;) {
    const page = await world.client.send(new ListObjectVersionsCommand({ Bucket, MaxKeys: 1, ...marker }));
    paged.push(...[...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(({ Key }) => Key));
    if (!page.IsTruncated) break;
    marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
  }
  expect(paged).toEqual(["a", "a", "b", "b"]);
});

test("suspended versioning keeps old versions and replaces only the null one", async () => {
  const old = await put("k", "old");
  await world.bucket(Bucket, { VersioningConfiguration: { Status: "Suspended" } });
  expect(await put("k", "null one")).toBe("null");
  expect(await put("k", "null two")).toBe("null");
  const listing = await world.client.send(new ListObjectVersionsCommand({ Bucket }));
  expect(listing.Versions?.map(({ VersionId }) => VersionId)).toEqual(["null", old]);
  expect(await read("k", "null")).toBe("null two");
  await world.client.send(new DeleteObjectCommand({ Bucket, Key: "k" }));
  expect(await read("k", old)).toBe("old");
  await expect(read("k")).rejects.toMatchObject({ name: "NoSuchKey" });
});

test("a caller that may not list cannot tell a missing object from a forbidden one", async () => {
  await put("k", "one");
  world.denies = ({ action }) => action === "s3:ListBucket";
  await expect(read("missing")).rejects.toMatchObject({
    name: "AccessDenied",
    $metadata: { httpStatusCode: 403 },
  });
  const head = new HeadObjectCommand({ Bucket, Key: "missing" });
  await expect(world.client.send(head)).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  world.denies = ({ action }) => action === "s3:GetObject";
  await expect(read("k")).rejects.toMatchObject({ name: "AccessDenied" });
  world.denies = () => false;
  await expect(world.client.send(head)).rejects.toMatchObject({ name: "NotFound" });
});

test("each operation requires permission for the action and resource that AWS names", async () => {
  const Principal = "*";
  const Statement = [{ Effect: "Deny", Principal, Action: "s3:*", Resource: "*" }];
  await world.provision("AWS::S3::BucketPolicy", {
    Bucket,
    PolicyDocument: { Version: "2012-10-17", Statement },
  });
  const VersionId = await put("a/b", "one");
  await read("a/b");
  await read("a/b", VersionId);
  await world.client.send(new ListObjectsV2Command({ Bucket, Prefix: "a/", Delimiter: "/" }));
  await world.client.send(new ListObjectVersionsCommand({ Bucket }));
  await world.client.send(new DeleteObjectCommand({ Bucket, Key: "a/b" }));
  await world.client.send(new DeleteObjectCommand({ Bucket, Key: "a/b", VersionId }));
  const object = "arn:aws:s3:::versioned/a/b";
  expect(world.accesses.map(({ action, resource }) => [action, resource])).toEqual([
    ["s3:PutObject", object],
    ["s3:GetObject", object],
    ["s3:GetObjectVersion", object],
    ["s3:ListBucket", "arn:aws:s3:::versioned"],
    ["s3:ListBucketVersions", "arn:aws:s3:::versioned"],
    ["s3:DeleteObject", object],
    ["s3:DeleteObjectVersion", object],
  ]);
  expect(world.accesses[3]?.context).toEqual({
    "s3:prefix": "a/",
    "s3:delimiter": "/",
    "s3:max-keys": "1000",
  });
  expect(world.accesses.every(({ resourcePolicy }) => resourcePolicy?.Statement !== undefined)).toBe(true);
});
