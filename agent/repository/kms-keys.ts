import { hash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { text } from "node:stream/consumers";
import * as z from "zod";
import { ForbiddenError, ServiceUnavailableError } from "#shared/errors.ts";
import { type S3Credentials, signRequest } from "../store/sigv4.ts";
import type { KeyContext, KeyService } from "./data-key.ts";

export interface KmsOptions {
  region: string;
  /** Returns current credentials. */
  credentials: () => Promise<S3Credentials>;
  /** Such as `http://127.0.0.1:4566`; by default AWS's own for the region. */
  endpoint?: string;
  /** Id, ARN or alias of the key that wraps new data keys; not needed to read. */
  keyId?: string;
  /** Milliseconds since 1970. */
  now: () => number;
}

const Blob = z.base64().transform((encoded) => Buffer.from(encoded, "base64"));
const DecryptedKey = z.object({ Plaintext: Blob });
const NewKey = z.object({ Plaintext: Blob, CiphertextBlob: Blob, KeyId: z.string() });
const Refusal = z.object({ __type: z.string(), message: z.string().optional() });

const TIMEOUT_MS = 30_000;

/**
 * Data keys wrapped by one KMS key; the encryption context ties each to its source server. An agent makes two
 * requests in its life, with plain HTTP: the SDK's client would keep 10 MiB of memory. Throws
 * `ForbiddenError` if KMS refuses, and `ServiceUnavailableError` if it does not answer or throttles.
 */
export class KmsKeys implements KeyService {
  readonly #options: KmsOptions;

  constructor(options: KmsOptions) {
    this.#options = options;
  }

  async generate(
    context: KeyContext,
  ): Promise<{ plaintext: Uint8Array; wrapped: Uint8Array; keyId: string }> {
    const input = { KeyId: this.#options.keyId, KeySpec: "AES_256", EncryptionContext: context };
    const { Plaintext, CiphertextBlob, KeyId } = NewKey.parse(await this.#ask("GenerateDataKey", input));
    return { plaintext: Plaintext, wrapped: CiphertextBlob, keyId: KeyId };
  }

  async decrypt(wrapped: Uint8Array, context: KeyContext, keyId: string): Promise<Uint8Array> {
    const CiphertextBlob = Buffer.from(wrapped).toString("base64");
    const input = { KeyId: keyId, CiphertextBlob, EncryptionContext: context };
    return DecryptedKey.parse(await this.#ask("Decrypt", input)).Plaintext;
  }

  async #ask(operation: "GenerateDataKey" | "Decrypt", input: object): Promise<unknown> {
    const { region, endpoint = `https://kms.${region}.amazonaws.com`, credentials, now } = this.#options;
    const url = new URL(endpoint);
    const body = JSON.stringify(input);
    const headers = signRequest({
      method: "POST",
      path: "/",
      query: {},
      headers: {
        host: url.host,
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": `TrentService.${operation}`,
      },
      payloadHash: hash("sha256", body),
      region,
      service: "kms",
      credentials: await credentials(),
      now: now(),
    });
    const { status, answer } = await post(url, headers, body).catch((cause: unknown) => {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new ServiceUnavailableError(`KMS does not answer: ${message}`, { cause });
    });
    if (status !== 200) throw refusal(operation, status, answer);
    return JSON.parse(answer);
  }
}

async function post(
  url: URL,
  headers: Record<string, string>,
  body: string,
): Promise<{ status: number; answer: string }> {
  const { request } = url.protocol === "https:" ? https : http;
  const sent = request(url, { method: "POST", headers, timeout: TIMEOUT_MS });
  sent.on("timeout", () => sent.destroy(new Error("it did not answer in time")));
  sent.end(body);
  const [response] = (await once(sent, "response")) as [http.IncomingMessage];
  return { status: response.statusCode ?? 0, answer: await text(response) };
}

function refusal(operation: string, status: number, answer: string): Error {
  const { __type: type, message } = parseRefusal(answer);
  const detail =
    `KMS answered ${operation} with ${status} ${type.replace(/^.*#/, "")} ${message ?? ""}`.trim();
  const passing = status >= 500 || status === 429 || type.endsWith("ThrottlingException");
  return passing ? new ServiceUnavailableError(detail) : new ForbiddenError(detail);
}

function parseRefusal(answer: string): z.infer<typeof Refusal> {
  try {
    return Refusal.parse(JSON.parse(answer));
  } catch {
    // A proxy in front of KMS may answer in its own format.
    return { __type: "", message: answer.slice(0, 500) };
  }
}
