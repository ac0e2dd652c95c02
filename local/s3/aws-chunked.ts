/**
 * The `aws-chunked` content encoding: `<hex length>[;chunk-signature=<hex>]\r\n<bytes>\r\n`, ended by an
 * empty chunk, trailers and an empty line. Each signature covers the previous one, so chunks cannot be
 * dropped or reordered.
 */
import { createHash, createHmac } from "node:crypto";
import { S3Error } from "./s3-error.ts";

const MAX_LINE_BYTES = 16 * 1024;
const EMPTY_SHA256 = createHash("sha256").digest("hex");

export interface ChunkSigning {
  /** Signature of the request's headers: the first link of the chain. */
  seed: string;
  key: Buffer;
  scope: string;
  date: string;
}

export interface DecodeOptions {
  /** Present when every chunk is signed. */
  signing?: ChunkSigning;
  /** Names (lower case) of the trailers that the headers announced. Exactly these must follow. */
  trailers: readonly string[];
}

/** Yields the bytes inside the framing and returns the trailers. Throws `S3Error` at the first fault. */
export async function* decodeAwsChunked(
  source: AsyncIterable<Buffer>,
  { signing, trailers }: DecodeOptions,
): AsyncGenerator<Buffer, Record<string, string>, undefined> {
  const input = new LineReader(source);
  let previous = signing?.seed ?? "";
  for (;;) {
    const header = parseChunkHeader(await input.line(), signing !== undefined);
    const hash = signing && createHash("sha256");
    let left = header.bytes;
    while (left > 0) {
      const piece = await input.take(left);
      left -= piece.length;
      hash?.update(piece);
      yield piece;
    }
    if (signing && hash) {
      const text = ["AWS4-HMAC-SHA256-PAYLOAD", signing.date, signing.scope, previous, EMPTY_SHA256];
      previous = requireSignature(signing, [...text, hash.digest("hex")], header.signature);
    }
    if (header.bytes === 0) break;
    if ((await input.line()) !== "") throw new S3Error("InvalidRequest", "A chunk is longer than it says.");
  }
  const received = await readTrailers(input, trailers, signing && { signing, previous });
  await input.end();
  return received;
}

interface ChunkHeader {
  bytes: number;
  signature: string;
}

function parseChunkHeader(line: string, signed: boolean): ChunkHeader {
  const match = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line);
  if (!match || (match[2] !== undefined) !== signed)
    throw new S3Error("InvalidRequest", "The chunked body is not well-formed.");
  return { bytes: Number.parseInt(match[1] ?? "", 16), signature: match[2] ?? "" };
}

/** Returns the signature. Throws if it is wrong. */
function requireSignature(signing: ChunkSigning, stringToSign: readonly string[], given: string): string {
  const expected = createHmac("sha256", signing.key).update(stringToSign.join("\n")).digest("hex");
  if (expected !== given) throw new S3Error("SignatureDoesNotMatch");
  return expected;
}

async function readTrailers(
  input: LineReader,
  announced: readonly string[],
  chain: { signing: ChunkSigning; previous: string } | undefined,
): Promise<Record<string, string>> {
  const received: Record<string, string> = {};
  for (let line = await input.line(); line !== ""; line = await input.line()) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).trim().toLowerCase();
    if (colon < 1 || name in received) throw new S3Error("MalformedTrailerError");
    received[name] = line.slice(colon + 1).trim();
  }
  const { "x-amz-trailer-signature": signature, ...values } = received;
  const names = Object.keys(values);
  if (names.length !== announced.length || !announced.every((name) => name in values))
    throw new S3Error("MalformedTrailerError", "The trailers are not those that x-amz-trailer announced.");
  if (chain && announced.length > 0) {
    const canonical = names.map((name) => `${name}:${values[name]}\n`).join("");
    const { date, scope } = chain.signing;
    const hash = createHash("sha256").update(canonical).digest("hex");
    const text = ["AWS4-HMAC-SHA256-TRAILER", date, scope, chain.previous, hash];
    requireSignature(chain.signing, text, signature ?? "");
  }
  return values;
}

/** Lines and byte runs out of a stream of buffers, without copying the byte runs. */
class LineReader {
  readonly #source: AsyncIterator<Buffer>;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#buffer.toString("latin1", 0, end);
        this.#buffer = this.#buffer.subarray(end + 2);
        return line;
      }
      if (this.#buffer.length > MAX_LINE_BYTES)
        throw new S3Error("InvalidRequest", "The chunked body is not well-formed.");
      const next = await this.#next();
      this.#buffer = this.#buffer.length === 0 ? next : Buffer.concat([this.#buffer, next]);
    }
  }

  /** At least one byte, at most `max`. */
  async take(max: number): Promise<Buffer> {
    if (this.#buffer.length === 0) this.#buffer = await this.#next();
    const piece = this.#buffer.subarray(0, max);
    this.#buffer = this.#buffer.subarray(piece.length);
    return piece;
  }

  async end(): Promise<void> {
    const rest = await this.#source.next();
    if (this.#buffer.length > 0 || !rest.done)
      throw new S3Error("InvalidRequest", "There are bytes after the last chunk.");
  }

  async #next(): Promise<Buffer> {
    for (;;) {
      const { value, done } = await this.#source.next();
      if (done) throw new S3Error("IncompleteBody");
      if (value.length > 0) return value;
    }
  }
}
