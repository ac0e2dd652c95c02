import { ListObjectsV2Command, type ListObjectsV2CommandOutput, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestWorld } from "./testing/s3-world.ts";

const Bucket = "listed";
const KEYS = ["a", "b/1", "b/2", "b/3/x", "b0", "c d+e&f", "ä", "\u{10ffff}", "\uffee"];
let world: TestWorld;
beforeAll(async () => {
  world = await TestWorld.start();
  await world.bucket(Bucket);
  for (const Key of KEYS) await world.client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
});
afterAll(() => world.stop());

const list = (options: object = {}) => world.client.send(new ListObjectsV2Command({ Bucket, ...options }));
const keys = ({ Contents }: ListObjectsV2CommandOutput) => Contents?.map(({ Key }) => Key) ?? [];
const prefixes = ({ CommonPrefixes }: ListObjectsV2CommandOutput) =>
  CommonPrefixes?.map(({ Prefix }) => Prefix) ?? [];

test("keys are listed in the order of their UTF-8 bytes", async () => {
  const inOrder = [...KEYS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  expect(keys(await list())).toEqual(inOrder);
});

test("a prefix narrows the list and a delimiter folds it", async () => {
  expect(keys(await list({ Prefix: "b/" }))).toEqual(["b/1", "b/2", "b/3/x"]);
  const folded = await list({ Delimiter: "/" });
  expect(prefixes(folded)).toEqual(["b/"]);
  expect(keys(folded)).not.toContain("b/1");
  const inside = await list({ Prefix: "b/", Delimiter: "/" });
  expect([keys(inside), prefixes(inside)]).toEqual([["b/1", "b/2"], ["b/3/"]]);
  expect(inside.KeyCount).toBe(3);
});

test.each([1, 2, 3, 100])("pages of %i give every entry once", async (MaxKeys) => {
  const entries: (string | undefined)[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await list({ Delimiter: "/", MaxKeys, ContinuationToken });
    entries.push(...keys(page), ...prefixes(page));
    ContinuationToken = page.NextContinuationToken;
    expect(page.IsTruncated).toBe(ContinuationToken !== undefined);
  } while (ContinuationToken);
  expect(entries.sort()).toEqual([...KEYS.filter((key) => !key.includes("/")), "b/"].sort());
});

test("a list starts after a key, present or not", async () => {
  expect(keys(await list({ StartAfter: "b/1", MaxKeys: 2 }))).toEqual(["b/2", "b/3/x"]);
  expect(keys(await list({ StartAfter: "b/11", MaxKeys: 1 }))).toEqual(["b/2"]);
  expect(keys(await list({ MaxKeys: 0 }))).toEqual([]);
});

test("keys are percent-encoded on request", async () => {
  const encoded = await list({ Prefix: "c", EncodingType: "url" });
  expect(encoded.EncodingType).toBe("url");
  expect(keys(encoded).map((key) => decodeURIComponent(key ?? ""))).toEqual(["c d+e&f"]);
});
