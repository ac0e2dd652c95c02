import { randomBytes } from "node:crypto";
import { access, readdir } from "node:fs/promises";
import path from "node:path";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestWorld } from "./testing/s3-world.ts";

const MIB = 1024 * 1024;
const Bucket = "parts";
let world: TestWorld;
beforeAll(async () => {
  world = await TestWorld.start();
  await world.bucket(Bucket);
});
afterAll(() => world.stop());

async function begin(Key: string): Promise<{ Bucket: string; Key: string; UploadId: string }> {
  const { UploadId = "" } = await world.client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  return { Bucket, Key, UploadId };
}

type Upload = Awaited<ReturnType<typeof begin>>;

async function sendPart(upload: Upload, PartNumber: number, Body: Buffer): Promise<CompletedPart> {
  const sent = await world.client.send(new UploadPartCommand({ ...upload, PartNumber, Body }));
  return { PartNumber, ETag: sent.ETag, ChecksumCRC32: sent.ChecksumCRC32 };
}

function complete(upload: Upload, Parts: CompletedPart[], conditions: object = {}) {
  return world.client.send(
    new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, ...conditions }),
  );
}

test("parts become one object; ranges cross their borders and unused parts vanish", async () => {
  const bodies = [randomBytes(5 * MIB), randomBytes(5 * MIB + 17), randomBytes(1000)];
  const whole = Buffer.concat(bodies);
  const upload = await begin("folder/big");
  const parts = await Promise.all(bodies.map((body, index) => sendPart(upload, index * 2 + 1, body)));
  await sendPart(upload, 4, Buffer.from("unused"));
  const listed = await world.client.send(new ListPartsCommand({ ...upload, MaxParts: 2 }));
  expect(listed.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
    [1, 5 * MIB],
    [3, 5 * MIB + 17],
  ]);
  expect(listed).toMatchObject({ IsTruncated: true, NextPartNumberMarker: "3" });
  const done = await complete(upload, parts);
  expect(done.ETag).toMatch(/-3"$/);
  const { Body } = await world.client.send(new GetObjectCommand({ Bucket, Key: "folder/big" }));
  expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(whole)).toBe(true);
  const Range = `bytes=${5 * MIB - 10}-${10 * MIB + 30}`;
  const ranged = await world.client.send(new GetObjectCommand({ Bucket, Key: "folder/big", Range }));
  const expected = whole.subarray(5 * MIB - 10, 10 * MIB + 31);
  expect(Buffer.from((await ranged.Body?.transformToByteArray()) ?? []).equals(expected)).toBe(true);
  const files = await readdir(path.join(world.folder, "buckets/parts/folder"), { recursive: true });
  expect(files).toHaveLength(4);
});

test("a part that is sent again replaces the first", async () => {
  const upload = await begin("again");
  await sendPart(upload, 1, Buffer.from("first"));
  const second = await sendPart(upload, 1, Buffer.from("second"));
  await complete(upload, [second]);
  const { Body } = await world.client.send(new GetObjectCommand({ Bucket, Key: "again" }));
  expect(await Body?.transformToString()).toBe("second");
});

test("a completion whose answer was lost can be repeated", async () => {
  const upload = await begin("repeat");
  const parts = [await sendPart(upload, 1, Buffer.from("x"))];
  const first = await complete(upload, parts);
  expect((await complete(upload, parts)).ETag).toBe(first.ETag);
});

test("a completion with wrong, missing, unordered or too small parts is refused, and the upload can still be completed", async () => {
  const upload = await begin("refused");
  const one = await sendPart(upload, 1, Buffer.from("small"));
  const two = await sendPart(upload, 2, Buffer.from("small"));
  await expect(complete(upload, [one, two])).rejects.toMatchObject({ name: "EntityTooSmall" });
  await expect(complete(upload, [two, one])).rejects.toMatchObject({ name: "InvalidPartOrder" });
  await expect(complete(upload, [{ ...one, ETag: '"other"' }])).rejects.toMatchObject({
    name: "InvalidPart",
  });
  await expect(complete(upload, [{ ...one, PartNumber: 3 }])).rejects.toMatchObject({ name: "InvalidPart" });
  await expect(complete(upload, [{ ...one, ChecksumCRC32: "AAAAAA==" }])).rejects.toMatchObject({
    name: "InvalidPart",
  });
  await complete(upload, [one], { IfNoneMatch: "*" });
  const late = await begin("refused");
  const part = await sendPart(late, 1, Buffer.from("late"));
  await expect(complete(late, [part], { IfNoneMatch: "*" })).rejects.toMatchObject({
    name: "PreconditionFailed",
  });
});

test("an aborted upload leaves nothing behind and is no longer known", async () => {
  const upload = await begin("aborted/x");
  await sendPart(upload, 1, Buffer.from("x"));
  await world.client.send(new AbortMultipartUploadCommand(upload));
  expect(await readdir(path.join(world.folder, "buckets/parts/aborted"))).toEqual([]);
  await expect(sendPart(upload, 2, Buffer.from("x"))).rejects.toMatchObject({ name: "NoSuchUpload" });
  const head = new HeadObjectCommand({ Bucket, Key: "aborted/x" });
  await expect(world.client.send(head)).rejects.toMatchObject({ name: "NotFound" });
  await expect(access(path.join(world.folder, "incoming"))).resolves.toBeUndefined();
});

test("an upload in parts continues after a restart", async () => {
  const upload = await begin("restarted");
  const one = await sendPart(upload, 1, randomBytes(5 * MIB));
  await world.close();
  await world.open();
  const two = await sendPart(upload, 2, Buffer.from("end"));
  await complete(upload, [one, two]);
  const head = await world.client.send(new HeadObjectCommand({ Bucket, Key: "restarted" }));
  expect(head.ContentLength).toBe(5 * MIB + 3);
});
