import type { Readable } from "node:stream";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import { sha256 } from "./sigv4.ts";

/** DynamoDB's limit. No other JSON service accepts more. */
export const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

/** Reads a stream to its end. Rejects with `RequestEntityTooLarge` beyond the limit. */
export async function readAll(body: Readable, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limitBytes) {
      throw new AwsError("RequestEntityTooLarge", `the body is longer than ${limitBytes} bytes`, 413);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/**
 * Reads a whole body and compares it with the signed hash. With `UNSIGNED-PAYLOAD` there is no hash to
 * compare.
 */
export async function readVerified(body: Readable, limitBytes: number, payloadHash: string): Promise<Buffer> {
  if (payloadHash.startsWith("STREAMING-")) {
    throw new UnsupportedError("a chunked payload (aws-chunked) on an operation that reads its body whole");
  }
  const bytes = await readAll(body, limitBytes);
  if (payloadHash !== UNSIGNED_PAYLOAD && sha256(bytes) !== payloadHash) {
    throw new AwsError(
      "XAmzContentSHA256Mismatch",
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
  }
  return bytes;
}

/** The signature covers the headers but not the body. S3 allows this if the connection protects the body. */
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
