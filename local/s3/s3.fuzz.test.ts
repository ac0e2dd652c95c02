import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeAwsChunked } from "./aws-chunked.ts";
import { escapedKey } from "./names.ts";
import { parseRange } from "./object-operations.ts";
import { TestWorld } from "./testing/s3-world.ts";
import { childText, parseXml, renderXml } from "./xml.ts";

const Bucket = "fuzz";
let world: TestWorld;
beforeAll(async () => {
  world = await TestWorld.start();
  await world.bucket(Bucket, { VersioningConfiguration: { Status: "Enabled" } });
});
afterAll(() => world.stop());

const segment = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom("", ".", "..", "a", "@", "%"),
);
const key = fc
  .array(segment, { minLength: 1, maxLength: 5 })
  .map((segments) => segments.join("/"))
  .filter((text) => text.length > 0 && text.isWellFormed());
const body = fc.uint8Array({ maxLength: 5000 }).map((bytes) => Buffer.from(bytes));

test("any body under any key comes back, whole and in ranges", async () => {
  const property = fc.asyncProperty(key, body, fc.nat(5100), fc.nat(5100), async (Key, Body, a, b) => {
    await world.client.send(new PutObjectCommand({ Bucket, Key, Body }));
    const whole = await world.client.send(new GetObjectCommand({ Bucket, Key }));
    expect(Buffer.from((await whole.Body?.transformToByteArray()) ?? []).equals(Body)).toBe(true);
    const [start, end] = [Math.min(a, b), Math.max(a, b)];
    const ranged = world.client.send(new GetObjectCommand({ Bucket, Key, Range: `bytes=${start}-${end}` }));
    if (start >= Body.length) {
      await expect(ranged).rejects.toMatchObject({ name: "InvalidRange" });
    } else {
      const bytes = await (await ranged).Body?.transformToByteArray();
      expect(Buffer.from(bytes ?? []).equals(Body.subarray(start, end + 1))).toBe(true);
    }
  });
  await fc.assert(property, { numRuns: 60 });
});

test("a listing names every key, encoded or not", async () => {
  const property = fc.asyncProperty(fc.uniqueArray(key, { minLength: 1, maxLength: 5 }), async (keys) => {
    const Prefix = `list-${world.accesses.length}/`;
    for (const name of keys)
      await world.client.send(new PutObjectCommand({ Bucket, Key: Prefix + name, Body: "x" }));
    const { Contents = [] } = await world.client.send(
      new ListObjectsV2Command({ Bucket, Prefix, EncodingType: "url" }),
    );
    const listed = Contents.map(({ Key = "" }) => decodeURIComponent(Key).slice(Prefix.length));
    expect(listed.sort()).toEqual([...keys].sort());
    for (const name of keys) await world.client.send(new HeadObjectCommand({ Bucket, Key: Prefix + name }));
  });
  await fc.assert(property, { numRuns: 15 });
});

test("no two keys share a path, and no path has a segment that a file system would resolve", () => {
  const property = fc.property(key, key, (one, other) => {
    const path = escapedKey(one);
    expect(
      path.split("/").some((part) => part === "" || part === "." || part === ".." || part.length > 200),
    ).toBe(false);
    expect(path).not.toContain("@");
    expect(path === escapedKey(other)).toBe(one === other);
  });
  fc.assert(property, { numRuns: 2000 });
});

test("chunked framing decodes to the original bytes, however they arrive, and a body that is cut off is refused", async () => {
  const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 });
  const property = fc.asyncProperty(
    chunks,
    fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
    fc.nat(),
    async (parts, cuts, cut) => {
      const framed = Buffer.concat([
        ...parts.flatMap((part) => [
          Buffer.from(`${part.length.toString(16)}\r\n`),
          part,
          Buffer.from("\r\n"),
        ]),
        Buffer.from("0\r\nx-amz-checksum-crc32:abc\r\n\r\n"),
      ]);
      const pieces = split(framed, cuts);
      expect(await decode(pieces)).toEqual(Buffer.concat(parts));
      await expect(decode(split(framed.subarray(0, cut % framed.length), cuts))).rejects.toMatchObject({
        name: "AwsError",
      });
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

async function decode(pieces: readonly Buffer[]): Promise<Buffer> {
  async function* source(): AsyncGenerator<Buffer> {
    yield* pieces;
  }
  const out: Buffer[] = [];
  for await (const piece of decodeAwsChunked(source(), { trailers: ["x-amz-checksum-crc32"] }))
    out.push(piece);
  return Buffer.concat(out);
}

function split(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

test("text survives XML", () => {
  const property = fc.property(
    fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
    (text) => {
      expect(childText(parseXml(Buffer.from(renderXml("Root", { Text: text }))), "Text")).toBe(text);
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test("a range is inside the object or is refused", () => {
  const property = fc.property(
    fc.string(),
    fc.nat(100),
    fc.option(fc.nat(120)),
    fc.option(fc.nat(120)),
    (noise, size, a, b) => {
      for (const text of [noise, `bytes=${a ?? ""}-${b ?? ""}`]) {
        try {
          const range = parseRange(text, size);
          if (range) expect(0 <= range.start && range.start <= range.end && range.end < size).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "InvalidRange" });
        }
      }
    },
  );
  fc.assert(property, { numRuns: 1000 });
});
