import { hash } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, expect, test } from "vitest";
import { ObjectNotFoundError, StoreRefusedError, TransientStoreError } from "./object-store.ts";
import { S3Store } from "./s3-store.ts";
import { signRequest } from "./sigv4.ts";
import { startEmbeddedS3 } from "./testing/embedded-s3.ts";
import { describeObjectStore } from "./testing/object-store-contract.ts";

const s3 = await startEmbeddedS3();
afterAll(() => s3.close());

async function openStore(): Promise<S3Store> {
  const { bucket, credentials } = await s3.bucket();
  return new S3Store({
    bucket,
    region: s3.region,
    endpoint: s3.url,
    credentials: async () => credentials,
    now: Date.now,
  });
}

describeObjectStore("S3", openStore);

/** A store whose server answers with `listener`. */
async function against(listener: RequestListener, run: (store: S3Store) => Promise<void>): Promise<void> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const store = new S3Store({
    bucket: "b",
    region: "r",
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: async () => ({ accessKeyId: "a", secretAccessKey: "s" }),
    now: () => 0,
    idleTimeoutMs: 50,
  });
  try {
    await run(store);
  } finally {
    store.close();
    server.closeAllConnections();
    server.close();
  }
}

const bytes = Buffer.alloc(300_000, 1);
const put = (store: S3Store) => store.put("key", bytes, { sha256: hash("sha256", bytes) });

test.each([500, 503, 507, 429])("an answer of %i is retryable", async (status) => {
  await against(
    (request, response) => request.resume().on("end", () => response.writeHead(status).end()),
    async (store) => {
      await expect(put(store)).rejects.toThrow(TransientStoreError);
      await expect(store.get("key")).rejects.toThrow(TransientStoreError);
    },
  );
});

test("a store that is full is retryable; one whose quota is used up is not, and its hint says what to do", async () => {
  const answer =
    (status: number, code: string): RequestListener =>
    (request, response) =>
      request.resume().on("end", () => {
        response.writeHead(status).end(`<Error><Code>${code}</Code><Message>no room</Message></Error>`);
      });
  await against(answer(507, "XMinioStorageFull"), async (store) => {
    await expect(put(store)).rejects.toThrow(TransientStoreError);
    await expect(put(store)).rejects.toThrow("key: 507 XMinioStorageFull no room");
  });
  await against(answer(403, "QuotaExceeded"), (store) =>
    expect(put(store)).rejects.toMatchObject({
      name: "StoreRefusedError",
      message: "key: 403 QuotaExceeded no room",
      hint: expect.stringContaining("quota is used up"),
    }),
  );
});

test("a reset connection, a silent server and a torn answer are retryable", async () => {
  await against(
    (request) => request.socket.destroy(),
    (store) => expect(put(store)).rejects.toThrow(TransientStoreError),
  );
  await against(
    () => {},
    (store) => expect(store.get("key")).rejects.toThrow(TransientStoreError),
  );
  await against(
    (_, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write("only a part");
      setImmediate(() => response.destroy());
    },
    (store) => expect(store.get("key")).rejects.toThrow(TransientStoreError),
  );
});

test("a refusal has S3's code and is not retryable", async () => {
  const { bucket } = await s3.bucket();
  const { credentials } = await s3.bucket();
  const store = new S3Store({
    bucket,
    region: s3.region,
    endpoint: s3.url,
    credentials: async () => credentials,
    now: Date.now,
  });
  await expect(store.get("key")).rejects.toMatchObject({ name: "StoreRefusedError", code: "AccessDenied" });
  const forged = new S3Store({
    bucket,
    region: s3.region,
    endpoint: s3.url,
    credentials: async () => ({ ...credentials, secretAccessKey: "wrong" }),
    now: Date.now,
  });
  await expect(forged.get("key")).rejects.toThrow(StoreRefusedError);
});

test("a listing of many pages returns each object once", async () => {
  const store = await openStore();
  const names = Array.from(
    { length: 1005 },
    (_, number) => `sources/s/packs/${String(number).padStart(5, "0")}`,
  );
  for (let at = 0; at < names.length; at += 67) {
    await Promise.all(
      names
        .slice(at, at + 67)
        .map((name) => store.put(name, Buffer.alloc(1), { sha256: hash("sha256", Buffer.alloc(1)) })),
    );
  }
  const found: string[] = [];
  for await (const { key } of store.list("sources/s/")) found.push(key);
  expect(found).toEqual(names);
  await expect(store.get("sources/s/none")).rejects.toThrow(ObjectNotFoundError);
});

test("a request is signed as in AWS's published example", () => {
  // GET Object of the Signature Version 4 examples for Amazon S3.
  const { authorization } = signRequest({
    method: "GET",
    path: "/test.txt",
    query: {},
    headers: { host: "examplebucket.s3.amazonaws.com", range: "bytes=0-9" },
    payloadHash: hash("sha256", ""),
    region: "us-east-1",
    credentials: {
      accessKeyId: "AKIAIOSFODNN7EXAMPLE",
      secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    },
    now: Date.UTC(2013, 4, 24),
  });
  expect(authorization).toContain(
    "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  );
});
