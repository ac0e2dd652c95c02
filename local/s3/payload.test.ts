import { createHash, createHmac, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { GetObjectCommand, HeadObjectCommand } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sha256, signingKey, TestWorld } from "./testing/s3-world.ts";

let world: TestWorld;
beforeEach(async () => {
  world = await TestWorld.start();
  await world.bucket("raw");
});
afterEach(() => world.stop());

const BODY = randomBytes(100_000);

/** Sends one PUT of `/raw/k` over a bare socket. Returns the status and any error code. */
async function put(headers: Record<string, string | number>, body: string | Buffer): Promise<string> {
  const lines = Object.entries({ host: "s3", connection: "close", ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const answer = await world.raw([`PUT /raw/k HTTP/1.1\r\n${lines.join("")}\r\n`, body]);
  const status = /^HTTP\/1.1 (\d+)/.exec(answer)?.[1];
  return [status, /<Code>(\w+)/.exec(answer)?.[1]].filter(Boolean).join(" ");
}

const plain = (headers: Record<string, string> = {}) =>
  put({ "content-length": BODY.length, "x-amz-content-sha256": sha256(BODY), ...headers }, BODY);

async function expectNothingStored(): Promise<void> {
  const head = new HeadObjectCommand({ Bucket: "raw", Key: "k" });
  await expect(world.client.send(head)).rejects.toMatchObject({ name: "NotFound" });
  expect(await world.files()).toEqual([]);
}

async function expectStored(): Promise<void> {
  const { Body } = await world.client.send(new GetObjectCommand({ Bucket: "raw", Key: "k" }));
  expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(BODY)).toBe(true);
}

test("a signed hash that the body does not have is refused and leaves nothing", async () => {
  expect(await plain({ "x-amz-content-sha256": sha256("other") })).toBe("400 XAmzContentSHA256Mismatch");
  await expectNothingStored();
});

test("each digest of the body is checked, with different errors for a malformed and for a wrong one", async () => {
  const md5 = createHash("md5").update("other").digest("base64");
  const sha1 = createHash("sha1").update("other").digest("base64");
  expect(await plain({ "content-md5": md5 })).toBe("400 BadDigest");
  expect(await plain({ "content-md5": "short" })).toBe("400 InvalidDigest");
  expect(await plain({ "x-amz-checksum-sha1": sha1 })).toBe("400 BadDigest");
  expect(await plain({ "x-amz-checksum-crc32": "AAAAAA==" })).toBe("400 BadDigest");
  expect(await plain({ "x-amz-checksum-crc32c": "AAA=" })).toBe("400 InvalidRequest");
  expect(await plain({ "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": sha1 })).toBe(
    "400 InvalidRequest",
  );
  expect(await plain({ "x-amz-sdk-checksum-algorithm": "CRC32" })).toBe("400 InvalidRequest");
  await expectNothingStored();
  expect(await plain({ "content-md5": createHash("md5").update(BODY).digest("base64") })).toBe("200");
  await expectStored();
});

test("an upload that breaks off leaves nothing", async () => {
  const head =
    "PUT /raw/k HTTP/1.1\r\nhost: s3\r\ncontent-length: 200000\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n\r\n";
  let started: () => void = () => undefined;
  const seen = new Promise<void>((resolve) => {
    started = resolve;
  });
  world.fault = async () => started();
  await world.raw([head, BODY], { hangUp: true });
  await seen;
  // Closing waits for the request that is under way.
  await world.close();
  expect(await world.files()).toEqual([]);
  await world.open();
  await expectNothingStored();
});

test("a body without a length is refused", async () => {
  expect(
    await put({ "transfer-encoding": "chunked", "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }, "0\r\n\r\n"),
  ).toBe("411 MissingContentLength");
  expect(await plain({ "x-amz-content-sha256": "STREAMING-OTHER" })).toMatch(/^4/);
});

function trailing(trailer: string, chunks: readonly Buffer[], decoded = BODY.length): Promise<string> {
  const framed = Buffer.concat([
    ...chunks.flatMap((chunk) => [
      Buffer.from(`${chunk.length.toString(16)}\r\n`),
      chunk,
      Buffer.from("\r\n"),
    ]),
    Buffer.from(`0\r\n${trailer}\r\n`),
  ]);
  const headers = {
    "content-length": framed.length,
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": decoded,
    "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "x-amz-trailer": "x-amz-checksum-crc32",
  };
  return put(headers, framed);
}

test("a trailer that is wrong, missing or not announced is refused", async () => {
  const digest = Buffer.alloc(4);
  digest.writeUInt32BE(crc32(BODY));
  const right = `x-amz-checksum-crc32:${digest.toString("base64")}\r\n`;
  expect(await trailing("x-amz-checksum-crc32:AAAAAA==\r\n", [BODY])).toBe("400 BadDigest");
  expect(await trailing("", [BODY])).toBe("400 MalformedTrailerError");
  expect(await trailing(`${right}x-amz-meta-a: b\r\n`, [BODY])).toBe("400 MalformedTrailerError");
  expect(await trailing(right, [BODY], BODY.length + 1)).toBe("400 IncompleteBody");
  expect(await trailing(right, [BODY], BODY.length - 1)).toBe("400 IncompleteBody");
  await expectNothingStored();
  expect(await trailing(right, [BODY.subarray(0, 10), BODY.subarray(10)])).toBe("200");
  await expectStored();
});

const DATE = "20300101T000000Z";
const SCOPE = "20300101/local-1/s3/aws4_request";
const SEED = "5".repeat(64);

/** The body in signed chunks, as in AWS's documentation. */
function signedChunks(chunks: readonly Buffer[], trailer?: string): Buffer {
  const key = signingKey(SCOPE);
  let previous = SEED;
  const sign = (kind: string, hashes: readonly string[]): string => {
    const text = [`AWS4-HMAC-SHA256-${kind}`, DATE, SCOPE, previous, ...hashes].join("\n");
    previous = createHmac("sha256", key).update(text).digest("hex");
    return previous;
  };
  const pieces = [...chunks, Buffer.alloc(0)].flatMap((chunk) => {
    const signature = sign("PAYLOAD", [sha256(""), sha256(chunk)]);
    const head = Buffer.from(`${chunk.length.toString(16)};chunk-signature=${signature}\r\n`);
    return chunk.length === 0 ? [head] : [head, chunk, Buffer.from("\r\n")];
  });
  const end = trailer
    ? `${trailer}\r\nx-amz-trailer-signature:${sign("TRAILER", [sha256(`${trailer}\n`)])}\r\n\r\n`
    : "\r\n";
  return Buffer.concat([...pieces, Buffer.from(end)]);
}

function putSigned(framed: Buffer, trailer?: string): Promise<string> {
  const headers = {
    authorization: `AWS4-HMAC-SHA256 Credential=test/${SCOPE}, SignedHeaders=host, Signature=${SEED}`,
    "x-amz-date": DATE,
    "content-length": framed.length,
    "x-amz-decoded-content-length": BODY.length,
    "x-amz-content-sha256": `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailer ? "-TRAILER" : ""}`,
    ...(trailer ? { "x-amz-trailer": trailer } : {}),
  };
  return put(headers, framed);
}

test("signed chunks are accepted as they were signed, and refused when changed, swapped or cut", async () => {
  const [one, two] = [BODY.subarray(0, 50_000), BODY.subarray(50_000)];
  const framed = signedChunks([one, two]);
  const flipped = Buffer.from(framed);
  flipped[60_000] = (flipped[60_000] ?? 0) ^ 1;
  expect(await putSigned(flipped)).toBe("403 SignatureDoesNotMatch");
  const half = Buffer.byteLength("c350;chunk-signature=") + 64 + 2 + 50_000 + 2;
  const swapped = Buffer.concat([
    framed.subarray(half, 2 * half),
    framed.subarray(0, half),
    framed.subarray(2 * half),
  ]);
  expect(await putSigned(swapped)).toBe("403 SignatureDoesNotMatch");
  expect(await putSigned(framed.subarray(0, half))).toBe("400 IncompleteBody");
  await expectNothingStored();
  expect(await putSigned(framed)).toBe("200");
  await expectStored();
});

test("the trailer of signed chunks is signed too", async () => {
  const name = "x-amz-checksum-sha256";
  const digest = createHash("sha256").update(BODY).digest("base64");
  const framed = signedChunks([BODY], `${name}:${digest}`);
  const forged = Buffer.from(framed);
  forged.write("0".repeat(64), forged.length - 68);
  expect(await putSigned(forged, name)).toBe("403 SignatureDoesNotMatch");
  await expectNothingStored();
  expect(await putSigned(framed, name)).toBe("200");
  await expectStored();
});
