import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TestWorld } from "./testing/s3-world.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const Bucket = "aging";
let world: TestWorld;
beforeEach(async () => {
  world = await TestWorld.start();
});
afterEach(() => world.stop());

async function rules(...Rules: object[]): Promise<void> {
  await world.bucket(Bucket, {
    VersioningConfiguration: { Status: "Enabled" },
    LifecycleConfiguration: { Rules },
  });
}

const put = (Key: string) => world.client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));

/** The sweep works on the disk, so letting timers fire is not enough: closing the store waits for it. */
async function pass(days: number): Promise<void> {
  await world.clock.advance(days * DAY_MS);
  await world.close();
  await world.open();
}

async function versions(): Promise<[string | undefined, string][]> {
  const listing = await world.client.send(new ListObjectVersionsCommand({ Bucket }));
  const entries = [
    ...(listing.Versions ?? []).map(({ Key, IsLatest }) => [Key, IsLatest ? "latest" : "old"] as const),
    ...(listing.DeleteMarkers ?? []).map(({ Key }) => [Key, "marker"] as const),
  ];
  return entries.map(([key, kind]) => [key, kind]);
}

test("objects under the prefix expire at the midnight after their days", async () => {
  await rules({ Status: "Enabled", Prefix: "tmp/", ExpirationInDays: 2 });
  await world.clock.advance(DAY_MS / 2);
  await put("tmp/a");
  await put("kept/a");
  await pass(2);
  expect(await versions()).toEqual([
    ["kept/a", "latest"],
    ["tmp/a", "latest"],
  ]);
  await pass(0.5);
  expect(await versions()).toEqual([
    ["kept/a", "latest"],
    ["tmp/a", "old"],
    ["tmp/a", "marker"],
  ]);
});

test("noncurrent versions expire by the time they were replaced, and lone delete markers after them", async () => {
  await rules({
    Status: "Enabled",
    ExpiredObjectDeleteMarker: true,
    NoncurrentVersionExpiration: { NoncurrentDays: 3 },
  });
  await put("k");
  await pass(10);
  expect(await versions()).toEqual([["k", "latest"]]);
  await world.client.send(new DeleteObjectCommand({ Bucket, Key: "k" }));
  await pass(2);
  expect(await versions()).toHaveLength(2);
  // The sweep at midnight takes the version; the one after it finds the marker alone.
  await pass(1);
  expect(await versions()).toEqual([]);
});

test("the newest noncurrent versions are kept where the rule says so", async () => {
  await rules({
    Status: "Enabled",
    NoncurrentVersionExpiration: { NoncurrentDays: 1, NewerNoncurrentVersions: 1 },
  });
  for (let count = 0; count < 4; count++) await put("k");
  await pass(2);
  expect(await versions()).toEqual([
    ["k", "latest"],
    ["k", "old"],
  ]);
});

test("uploads in parts that are never completed are aborted", async () => {
  await rules({ Status: "Enabled", AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } });
  const { UploadId } = await world.client.send(new CreateMultipartUploadCommand({ Bucket, Key: "k" }));
  const parts = new ListPartsCommand({ Bucket, Key: "k", UploadId });
  await world.client.send(parts);
  await pass(1);
  await expect(world.client.send(parts)).rejects.toMatchObject({ name: "NoSuchUpload" });
});

test("a disabled rule does nothing", async () => {
  await rules({ Status: "Disabled", ExpirationInDays: 1 });
  await put("k");
  await pass(5);
  expect(await versions()).toEqual([["k", "latest"]]);
});
