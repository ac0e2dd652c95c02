import { hash } from "node:crypto";
import { once } from "node:events";
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import https from "node:https";
import { finished } from "node:stream/promises";
import {
  type GetOptions,
  ObjectExistsError,
  ObjectNotFoundError,
  type ObjectStore,
  type ObjectSummary,
  type Pace,
  type PutOptions,
  StoreRefusedError,
  TransientStoreError,
} from "./object-store.ts";
import { readListing, readS3Error } from "./s3-xml.ts";
import { encodeQuery, encodeUri, type S3Credentials, signRequest } from "./sigv4.ts";

export interface S3StoreOptions {
  bucket: string;
  region: string;
  /** Called before each request: returns current credentials, and gets new ones before they expire. */
  credentials: () => Promise<S3Credentials>;
  /** Such as `http://127.0.0.1:4566`, with the bucket in the path; by default AWS's own for the region. */
  endpoint?: string;
  /** Milliseconds since 1970. */
  now: () => number;
  /** A connection that transfers nothing for this long is closed. */
  idleTimeoutMs?: number;
}

interface S3Request {
  method: "GET" | "PUT";
  key: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array;
  sha256?: string;
  pace?: Pace | undefined;
  signal?: AbortSignal | undefined;
}

const EMPTY_SHA256 = hash("sha256", "");
const SLICE_BYTES = 256 * 1024;

/**
 * Objects in S3 or a service with its protocol, through plain HTTP requests: for large objects this takes a
 * third of the SDK's CPU time, computes the hash once, and moves bodies straight between the socket and the
 * caller's buffers.
 */
export class S3Store implements ObjectStore {
  readonly #options: S3StoreOptions;
  readonly #base: URL;
  readonly #agent: http.Agent;
  readonly #pathPrefix: string;
  #requests = 0;

  constructor(options: S3StoreOptions) {
    this.#options = options;
    const { bucket, region, endpoint } = options;
    this.#base = new URL(endpoint ?? `https://${bucket}.s3.${region}.amazonaws.com`);
    this.#pathPrefix = endpoint ? `${this.#base.pathname.replace(/\/$/, "")}/${bucket}` : "";
    const Agent = this.#base.protocol === "https:" ? https.Agent : http.Agent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 16 });
  }

  /** How many requests this store has sent so far. */
  get requests(): number {
    return this.#requests;
  }

  async put(key: string, bytes: Uint8Array, { sha256, pace, signal }: PutOptions): Promise<void> {
    const headers = { "if-none-match": "*" };
    const response = await this.#send({ method: "PUT", key, headers, body: bytes, sha256, pace, signal });
    if (response.statusCode === 412) {
      await drain(response);
      throw new ObjectExistsError(key);
    }
    await this.#expect(response, key, 200);
    await drain(response);
  }

  async get(key: string, { range, into, signal }: GetOptions = {}): Promise<Buffer> {
    if (range?.bytes === 0) return Buffer.alloc(0);
    const headers: Record<string, string> = range
      ? { range: `bytes=${range.offset}-${range.offset + range.bytes - 1}` }
      : {};
    const response = await this.#send({ method: "GET", key, headers, signal });
    if (response.statusCode === 416) {
      await drain(response);
      return Buffer.alloc(0);
    }
    try {
      await this.#expect(response, key, 200, 206);
    } catch (error) {
      // If the caller may list only under a prefix, S3 answers "access denied" for a missing object.
      if (
        error instanceof StoreRefusedError &&
        error.code === "AccessDenied" &&
        !(await this.#isListed(key))
      ) {
        throw new ObjectNotFoundError(key);
      }
      throw error;
    }
    return readBody(response, into);
  }

  async *list(prefix: string): AsyncIterable<ObjectSummary> {
    let token: string | undefined;
    do {
      const query = { "list-type": "2", prefix, ...(token ? { "continuation-token": token } : {}) };
      const response = await this.#send({ method: "GET", key: "", query });
      await this.#expect(response, prefix, 200);
      const page = readListing((await readBody(response)).toString());
      yield* page.objects;
      token = page.next;
    } while (token);
  }

  async #isListed(key: string): Promise<boolean> {
    for await (const object of this.list(key)) if (object.key === key) return true;
    return false;
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  /** Sends a request and returns the answer's head; a failure on the way is a `TransientStoreError`. */
  async #send(request: S3Request): Promise<IncomingMessage> {
    const { method, key, query = {}, body, pace, signal } = request;
    const path = `${this.#pathPrefix}/${key.split("/").map(encodeUri).join("/")}`;
    const headers = signRequest({
      method,
      path,
      query,
      headers: { host: this.#base.host, ...request.headers },
      payloadHash: request.sha256 ?? EMPTY_SHA256,
      region: this.#options.region,
      credentials: await this.#options.credentials(),
      now: this.#options.now(),
    });
    const search = encodeQuery(query);
    this.#requests += 1;
    const transport = this.#base.protocol === "https:" ? https : http;
    const sent = transport.request({
      agent: this.#agent,
      host: this.#base.hostname,
      port: this.#base.port,
      method,
      path: search ? `${path}?${search}` : path,
      headers: { ...headers, "content-length": body?.length ?? 0 },
      timeout: this.#options.idleTimeoutMs ?? 60_000,
      ...(signal ? { signal } : {}),
    });
    sent.on("timeout", () => sent.destroy(new Error("nothing was transferred for too long")));
    try {
      const answered = once(sent, "response") as Promise<[IncomingMessage]>;
      await Promise.race([answered, sendBody(sent, body, pace).then(() => answered)]);
      return (await answered)[0];
    } catch (cause) {
      signal?.throwIfAborted();
      throw new TransientStoreError(`${method} ${key}: ${describe(cause)}`, { cause });
    }
  }

  async #expect(response: IncomingMessage, key: string, ...statuses: number[]): Promise<void> {
    const status = response.statusCode ?? 0;
    if (statuses.includes(status)) return;
    const { code, message } = readS3Error((await readBody(response)).toString());
    if (code === "NoSuchKey" || (status === 404 && code === "")) throw new ObjectNotFoundError(key);
    const detail = `${key}: ${status} ${code} ${message}`.trim();
    if ((status >= 500 && status !== 501) || status === 429 || TRANSIENT_CODES.has(code))
      throw new TransientStoreError(detail);
    throw new StoreRefusedError(code || String(status), detail);
  }
}

// Answers below 500 that a retry cures. The next attempt gets new credentials.
const TRANSIENT_CODES = new Set(["RequestTimeout", "SlowDown", "ConditionalRequestConflict", "ExpiredToken"]);

async function sendBody(
  request: ClientRequest,
  body: Uint8Array | undefined,
  pace: Pace | undefined,
): Promise<void> {
  if (!body || !pace) {
    if (body) await pace?.(body.length);
    request.end(body);
    return;
  }
  for (let at = 0; at < body.length && !request.destroyed; at += SLICE_BYTES) {
    const slice = body.subarray(at, at + SLICE_BYTES);
    await pace(slice.length);
    if (!request.write(slice)) await Promise.race([once(request, "drain"), once(request, "close")]);
  }
  request.end();
}

/**
 * The whole body, in `into` if given. An answer that breaks off or does not fit is a `TransientStoreError`.
 */
async function readBody(response: IncomingMessage, into?: Buffer): Promise<Buffer> {
  const expected = Number(response.headers["content-length"] ?? Number.NaN);
  const chunks: Buffer[] = [];
  let length = 0;
  // A listener costs less than iterating, and every byte of a restore passes here.
  response.on("data", (chunk: Buffer) => {
    if (!into) chunks.push(chunk);
    else if (length + chunk.length <= into.length) into.set(chunk, length);
    else response.destroy(new RangeError("the answer is longer than asked for"));
    length += chunk.length;
  });
  try {
    await finished(response);
  } catch (cause) {
    throw new TransientStoreError(`the answer broke off: ${describe(cause)}`, { cause });
  }
  if (!Number.isNaN(expected) && length !== expected)
    throw new TransientStoreError("the answer is cut short");
  return into ? into.subarray(0, length) : Buffer.concat(chunks, length);
}

async function drain(response: IncomingMessage): Promise<void> {
  await readBody(response);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
