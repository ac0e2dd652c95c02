import type { ServiceRequest } from "../core/service.ts";
import { decodeAwsChunked } from "./aws-chunked.ts";
import {
  CHECKSUM_ALGORITHMS,
  checksumHeader,
  type DigestAlgorithm,
  Digests,
  parseDigest,
} from "./checksum.ts";
import type { Checksum, ChecksumAlgorithm } from "./model.ts";
import { S3Error } from "./s3-error.ts";

/** S3's limit for one request. */
const MAX_PAYLOAD_BYTES = 5 * 1024 ** 3;
const CHUNKED_MODES = [
  "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
];

/** A request's decoded body. It can be read once. */
export interface Payload {
  bytes: AsyncIterable<Buffer>;
  /**
   * Checks length, signed hash, Content-MD5 and checksum after the last byte. Throws `S3Error` if one
   * differs. Returns the checksum to store, if the request had one or asked for one.
   */
  finish(): Checksum | undefined;
}

type PayloadSource = Pick<ServiceRequest, "headers" | "body" | "signature">;

/**
 * `algorithm`: compute this checksum even when the client sends none. Throws `S3Error` for contradictory
 * headers.
 */
export function openPayload(request: PayloadSource, algorithm?: ChecksumAlgorithm): Payload {
  const { payloadHash } = request.signature;
  const chunked = payloadHash.startsWith("STREAMING-");
  const length = declaredLength(request, chunked);
  const expected = new Map<DigestAlgorithm, Expectation>();
  if (/^[0-9a-f]{64}$/.test(payloadHash)) {
    expected.set("SHA256", { value: Buffer.from(payloadHash, "hex"), error: "XAmzContentSHA256Mismatch" });
  } else if (payloadHash !== "UNSIGNED-PAYLOAD" && !CHUNKED_MODES.includes(payloadHash)) {
    throw new S3Error("InvalidArgument", `x-amz-content-sha256 '${payloadHash}' is not one that S3 knows.`);
  }
  const announced = announcedChecksum(request);
  const kept = announced?.algorithm ?? algorithm;
  const md5 = contentMd5(request);
  const digests = new Digests(
    new Set([...expected.keys(), ...(kept ? [kept] : []), ...(md5 ? ["MD5" as const] : [])]),
  );
  const body = readBytes(request, announced?.trailer);
  let received = 0;
  let trailer: string | undefined;

  async function* bytes(): AsyncGenerator<Buffer> {
    for (;;) {
      const { value, done } = await body.next();
      if (done) {
        trailer = value;
        return;
      }
      received += value.length;
      if (received > length) throw new S3Error("IncompleteBody", "The body is longer than the headers say.");
      digests.update(value);
      yield value;
    }
  }

  return {
    bytes: bytes(),
    finish() {
      if (received !== length) throw new S3Error("IncompleteBody");
      for (const [name, { value, error }] of expected)
        if (!digests.result(name).equals(value)) throw new S3Error(error);
      if (md5 && !digests.result("MD5").equals(md5)) throw new S3Error("BadDigest");
      if (!kept) return undefined;
      const value = digests.result(kept).toString("base64");
      const claimed = announced?.value ?? trailer;
      if (announced && claimed !== value)
        throw new S3Error("BadDigest", `The ${kept} you specified did not match the calculated checksum.`);
      return { algorithm: kept, value, type: "FULL_OBJECT" };
    },
  };
}

interface Expectation {
  value: Buffer;
  error: "XAmzContentSHA256Mismatch";
}

/**
 * Reads a whole small body, checked like any other. Rejects with `MalformedXML` above the limit, because only
 * documents are read this way.
 */
export async function readDocument(request: PayloadSource, limitBytes: number): Promise<Buffer> {
  const payload = openPayload(request);
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of payload.bytes) {
    size += piece.length;
    if (size > limitBytes) throw new S3Error("MalformedXML", "The document is too long.");
    pieces.push(piece);
  }
  payload.finish();
  return Buffer.concat(pieces);
}

function declaredLength({ headers }: PayloadSource, chunked: boolean): number {
  const text = chunked ? headers["x-amz-decoded-content-length"] : headers["content-length"];
  if (typeof text !== "string") throw new S3Error("MissingContentLength");
  const length = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(length)) throw new S3Error("InvalidArgument", "The length of the body is not a number.");
  if (length > MAX_PAYLOAD_BYTES) throw new S3Error("EntityTooLarge");
  return length;
}

interface AnnouncedChecksum {
  algorithm: ChecksumAlgorithm;
  /** The trailing header with the value, after the body. */
  trailer?: string;
  value?: string;
}

/** A request's one checksum, from its headers or, later, from a trailer. */
function announcedChecksum({ headers, signature }: PayloadSource): AnnouncedChecksum | undefined {
  const trailer = headers["x-amz-trailer"];
  if (trailer !== undefined && !signature.payloadHash.endsWith("-TRAILER"))
    throw new S3Error("InvalidRequest", "x-amz-trailer needs a content encoding with trailers.");
  const found: AnnouncedChecksum[] = [];
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const name = checksumHeader(algorithm);
    const value = headers[name];
    if (typeof value === "string") {
      if (!parseDigest(algorithm, value))
        throw new S3Error("InvalidRequest", `Value for ${name} header is invalid.`);
      found.push({ algorithm, value });
    }
    if (String(trailer).toLowerCase() === name) found.push({ algorithm, trailer: name });
  }
  if (found.length > 1) throw new S3Error("InvalidRequest", "Expecting a single x-amz-checksum- header.");
  const [checksum] = found;
  if (trailer !== undefined && !checksum?.trailer)
    throw new S3Error("InvalidRequest", "The value specified in the x-amz-trailer header is not supported");
  const named = headers["x-amz-sdk-checksum-algorithm"];
  if (named !== undefined && String(named).toUpperCase() !== checksum?.algorithm)
    throw new S3Error(
      "InvalidRequest",
      "x-amz-sdk-checksum-algorithm has no x-amz-checksum- header that fits it.",
    );
  return checksum;
}

function contentMd5({ headers }: PayloadSource): Buffer | undefined {
  const value = headers["content-md5"];
  if (value === undefined) return undefined;
  const digest = parseDigest("MD5", String(value));
  if (!digest) throw new S3Error("InvalidDigest");
  return digest;
}

/** Yields the decoded body. Returns the value of the checksum trailer if one was announced. */
async function* readBytes(
  { body, signature }: PayloadSource,
  trailer: string | undefined,
): AsyncGenerator<Buffer, string | undefined, undefined> {
  const raw = rawBytes(body);
  const mode = signature.payloadHash;
  if (!mode.startsWith("STREAMING-")) {
    yield* raw;
    return undefined;
  }
  const trailers = yield* decodeAwsChunked(raw, {
    ...(mode.startsWith("STREAMING-AWS4-HMAC") ? { signing: signature } : {}),
    trailers: trailer === undefined ? [] : [trailer],
  });
  return trailer === undefined ? undefined : trailers[trailer];
}

async function* rawBytes(body: PayloadSource["body"]): AsyncGenerator<Buffer> {
  try {
    // Leaving the loop early must not destroy the body: that would cut the connection before the error is
    // answered.
    for await (const piece of body.iterator({ destroyOnReturn: false })) yield piece;
  } catch (error) {
    throw new S3Error("RequestTimeout", "The connection ended before the body.", { cause: error });
  }
}
