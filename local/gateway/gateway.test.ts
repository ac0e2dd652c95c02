import { createHash, createHmac } from "node:crypto";
import { Readable } from "node:stream";
import { KMSClient, ListKeysCommand } from "@aws-sdk/client-kms";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jsonErrorResponse } from "../core/json-protocol.ts";
import { REGION, type Service } from "../core/service.ts";
import { SmallCloud } from "./testing/small-cloud.ts";

/** Echoes the request. Reads the body only if the path asks for it. */
const echo: Service = {
  name: "echo",
  handle: async (request) => {
    if (request.path === "/fail") throw new Error("a fault of ours");
    if (request.path === "/stream") return { status: 200, body: Readable.from(["one ", "two"]) };
    const body = request.path === "/lazy" ? "" : (await request.readBody(1024)).toString();
    return { status: 200, body: JSON.stringify({ path: request.path, query: [...request.query], body }) };
  },
  renderError: (error) => jsonErrorResponse(error, "1.1"),
  close: async () => {},
};

let cloud: SmallCloud;
let roleArn: string;

beforeAll(async () => {
  cloud = await SmallCloud.start({ services: [echo] });
  roleArn = await cloud.addRole("caller");
});
afterAll(() => cloud[Symbol.asyncDispose]());

interface Signed {
  method: string;
  path: string;
  query?: Record<string, string>;
  headers: Record<string, string>;
  body?: string;
}

async function sign(options: {
  path: string;
  query?: Record<string, string>;
  body?: string;
  date?: Date;
  service?: string;
  region?: string;
  headers?: Record<string, string>;
  declareHash?: boolean;
}): Promise<Signed> {
  const { accessKeyId, secretAccessKey, sessionToken } = cloud.credentials(roleArn);
  const signer = new SignatureV4({
    credentials: { accessKeyId, secretAccessKey, sessionToken },
    region: options.region ?? REGION,
    service: options.service ?? "echo",
    sha256: NodeSha256,
    applyChecksum: options.declareHash ?? true,
  });
  const { host } = new URL(cloud.url);
  const request = {
    method: "POST",
    protocol: "http:",
    hostname: host,
    path: options.path,
    ...(options.query && { query: options.query }),
    headers: { host, ...options.headers },
    ...(options.body !== undefined && { body: options.body }),
  };
  const signed = await signer.sign(request, { signingDate: options.date ?? new Date(cloud.clock.now()) });
  return { ...request, headers: signed.headers };
}

/** The hash that the signer asks for. */
class NodeSha256 {
  readonly #parts: (string | Uint8Array)[] = [];
  readonly #secret: string | Uint8Array | undefined;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret as string | Uint8Array | undefined;
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#parts.push(data as string | Uint8Array);
  }
  reset(): void {
    this.#parts.length = 0;
  }
  async digest(): Promise<Uint8Array> {
    const hash = this.#secret === undefined ? createHash("sha256") : createHmac("sha256", this.#secret);
    for (const part of this.#parts) hash.update(part);
    return hash.digest();
  }
}

async function send({
  method,
  path,
  query,
  headers,
  body,
}: Signed): Promise<{ status: number; text: string }> {
  const target = query ? `${path}?${new URLSearchParams(query).toString().replaceAll("+", "%20")}` : path;
  const { host: _, ...rest } = headers;
  const response = await fetch(cloud.url + target, {
    method,
    headers: rest,
    ...(body !== undefined && { body }),
  });
  return { status: response.status, text: await response.text() };
}

test("a signed request reaches the service with path, query and body as sent", async () => {
  const request = await sign({
    path: "/a b/c%2Fd".replace(" ", "%20"),
    query: { x: "1 2", y: "ü" },
    body: "hello",
  });
  const { status, text } = await send(request);
  expect(status).toBe(200);
  expect(JSON.parse(text)).toEqual({
    path: "/a%20b/c%2Fd",
    query: [
      ["x", "1 2"],
      ["y", "ü"],
    ],
    body: "hello",
  });
});

test("a request that does not declare the hash of its body is judged by the body itself", async () => {
  const request = await sign({ path: "/", body: "hello", declareHash: false });
  expect((await send(request)).status).toBe(200);
  const altered = await send({ ...request, body: "HELLO" });
  expect(altered).toMatchObject({ status: 403, text: expect.stringContaining("InvalidSignatureException") });
});

test.each([
  ["an altered path", (signed: Signed) => ({ ...signed, path: "/other" }), 403, "InvalidSignatureException"],
  [
    "an altered query",
    (signed: Signed) => ({ ...signed, query: { admin: "1" } }),
    403,
    "InvalidSignatureException",
  ],
  [
    "an altered signed header",
    (signed: Signed) => ({ ...signed, headers: { ...signed.headers, "x-amz-target": "Other" } }),
    403,
    "InvalidSignatureException",
  ],
  [
    "an unsigned x-amz header",
    (signed: Signed) => ({ ...signed, headers: { ...signed.headers, "x-amz-acl": "public" } }),
    403,
    "InvalidSignatureException",
  ],
  ["an altered body", (signed: Signed) => ({ ...signed, body: "HELLO" }), 400, "XAmzContentSHA256Mismatch"],
  [
    "another session's token",
    (signed: Signed) => ({
      ...signed,
      headers: { ...signed.headers, "x-amz-security-token": cloud.credentials(roleArn).sessionToken },
    }),
    403,
    "UnrecognizedClientException",
  ],
])("%s is refused", async (_, alter, status, code) => {
  const request = await sign({ path: "/", body: "hello", headers: { "x-amz-target": "Echo" } });
  const answer = await send(alter(request));
  expect(answer).toMatchObject({ status, text: expect.stringContaining(code) });
});

test("a signature more than five minutes off is refused, either way", async () => {
  for (const minutes of [-6, 6]) {
    const date = new Date(cloud.clock.now() + minutes * 60_000);
    const answer = await send(await sign({ path: "/", date }));
    expect(answer).toMatchObject({ status: 403, text: expect.stringContaining("RequestTimeTooSkewed") });
  }
});

test("a signature for another region is refused", async () => {
  const answer = await send(await sign({ path: "/", region: "eu-central-1" }));
  expect(answer).toMatchObject({ status: 403, text: expect.stringContaining(REGION) });
});

test("a body beyond the service's limit is refused", async () => {
  const answer = await send(await sign({ path: "/", body: "x".repeat(2000) }));
  expect(answer).toMatchObject({ status: 413, text: expect.stringContaining("RequestEntityTooLarge") });
});

test("a service may leave the body unread", async () => {
  expect((await send(await sign({ path: "/lazy", body: "x".repeat(1_000_000) }))).status).toBe(200);
});

test("a service may stream its answer", async () => {
  expect(await send(await sign({ path: "/stream" }))).toEqual({ status: 200, text: "one two" });
});

test("an unexpected error becomes an InternalFailure that names it", async () => {
  const answer = await send(await sign({ path: "/fail" }));
  expect(answer).toMatchObject({ status: 500, text: expect.stringContaining("a fault of ours") });
});

test("an unknown service and a presigned URL are refused as unsupported", async () => {
  const unknown = await send(await sign({ path: "/", service: "sqs" }));
  expect(unknown).toMatchObject({ status: 501, text: expect.stringContaining("sqs") });
  const presigned = await fetch(
    `${cloud.url}/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00`,
  );
  expect(presigned.status).toBe(501);
});

test("requests that are not signed, or signed for the HTTP API, go to the fallback", async () => {
  const plain = await fetch(`${cloud.url}/v1/sources?a=b`, { headers: { authorization: "Bearer token" } });
  expect(await plain.text()).toBe("fallback GET /v1/sources?a=b");
  const signed = await send(await sign({ path: "/v1", service: "execute-api" }));
  expect(signed.text).toBe("fallback POST /v1");
});

test("expired credentials are refused by name", async () => {
  await using old = await SmallCloud.start();
  const config = await old.clientFor("someone");
  const identify = (options: typeof config & { systemClockOffset?: number }) =>
    new STSClient(options).send(new GetCallerIdentityCommand({}));
  expect(await identify(config)).toMatchObject({
    Arn: "arn:aws:sts::000000000000:assumed-role/someone/test",
  });
  await old.clock.advance(3_600_001);
  await expect(identify({ ...config, systemClockOffset: 3_600_001 })).rejects.toMatchObject({
    name: "ExpiredToken",
  });
});

test("credentials survive a restart", async () => {
  const first = await SmallCloud.start();
  const arn = await first.addRole("survivor");
  const credentials = first.credentials(arn);
  await first.stop();
  await using second = await SmallCloud.start({ directory: first.directory });
  await second.addRole("survivor");
  const sts = new STSClient(second.config(credentials));
  await expect(sts.send(new GetCallerIdentityCommand({}))).resolves.toMatchObject({
    Account: "000000000000",
  });
});

test("an operation that is not supported says where to look", async () => {
  const kms = new KMSClient(
    await cloud.clientFor("lister", { Effect: "Allow", Action: "kms:*", Resource: "*" }),
  );
  await expect(kms.send(new ListKeysCommand({}))).rejects.toThrow(/ListKeys.*docs\/local\.md/);
});
