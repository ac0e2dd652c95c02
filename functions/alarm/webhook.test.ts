/** The webhook against real receivers: HTTPS with a certificate of its own, and HTTP on loopback. */

import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import "reflect-metadata";
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { alarmOf } from "#shared/domain/alarm.ts";
import type { Notice } from "#shared/protocol/alarms.ts";
import { Input, run } from "../tasks/send-webhook.ts";
import { World } from "../testing/world.ts";
import { HttpsWebhookPoster } from "./https-webhook-poster.ts";
import { raiseAlarm } from "./raise.ts";
import { findUrlProblem } from "./webhook-address.ts";
import { signatureOf } from "./webhook-signature.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
/** As long as an answer can take in these tests, and as short as they can wait for one that never comes. */
const TIMEOUT_MS = 300;

/** The receiver's code of docs/operations.md. */
async function verifierInDocs(): Promise<
  (header: string, body: string, secret: string, nowMs: number) => boolean
> {
  const docs = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");
  const [, code = ""] = /```js\n(\/\/ verify-webhook\.mjs\n[\s\S]*?)```/.exec(docs) ?? [];
  const { isFromCauseway } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  return isFromCauseway;
}

interface Received {
  headers: IncomingMessage["headers"];
  body: string;
}
type Answer = (response: ServerResponse) => void;

async function receiver(answer: Answer, tls?: { key: string; cert: string }) {
  const received: Received[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    received.push({ headers: request.headers, body });
    answer(response);
  };
  const server = tls ? createHttpsServer(tls, take) : createHttpServer(take);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { received, url: `${tls ? "https" : "http"}://127.0.0.1:${port}/causeway` };
}

const withStatus =
  (status: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(status, headers).end("the body is not read");

async function certificate(): Promise<{ key: string; cert: string }> {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const now = Date.now();
  const made = await X509CertificateGenerator.createSelfSigned({
    name: "CN=receiver",
    keys,
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + 3600_000),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [new SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    cert: made.toString("pem"),
  };
}

let world: World;
let notice: Notice;

/** Sets the webhook and raises an alarm; its first notice is `notice`. */
async function alarmWithWebhook(url: string): Promise<void> {
  const sealedSecret = Buffer.from(SECRET).toString("base64");
  const set = { setAt: "2030-01-01T00:00:00.000Z", setBy: "ada" };
  await world.store.webhook.set({ url, allowPrivate: false, sealedSecret }, set);
  await raiseAlarm(
    { kind: "test", subject: "test", cause: "A test.", action: "Nothing.", since: set.setAt },
    world,
  );
  [notice] = world.topic.published as [Notice];
}

const send = (ca?: string, more: object = {}) =>
  run(Input.parse({ notice, failedAttempts: 0, ...more }), {
    ...world,
    secrets: {
      seal: async (secret) => Buffer.from(secret).toString("base64"),
      open: async (sealed) => Buffer.from(sealed, "base64").toString(),
    },
    poster: new HttpsWebhookPoster({ allowLoopback: true, timeoutMs: TIMEOUT_MS, ...(ca && { ca }) }),
  });
const deliveries = async () => {
  const { items } = await world.store.alarms.page({ limit: 1 });
  return items.map(alarmOf)[0]?.webhook.map(({ state, attempts, problem }) => ({ state, attempts, problem }));
};

beforeEach(async () => {
  world = await World.start();
});

test("an HTTPS receiver gets the notice, and the code in the documentation verifies it", async () => {
  const tls = await certificate();
  const { received, url } = await receiver(withStatus(204), tls);
  await alarmWithWebhook(url);
  await send(tls.cert);
  const [{ headers, body }] = received as [Received];
  expect(JSON.parse(body)).toEqual(notice);
  const isFromCauseway = await verifierInDocs();
  const header = String(headers["causeway-signature"]);
  expect(isFromCauseway(header, body, SECRET, world.nowMs)).toBe(true);
  expect(isFromCauseway(header, `${body} `, SECRET, world.nowMs)).toBe(false);
  expect(isFromCauseway(header, body, `${SECRET}x`, world.nowMs)).toBe(false);
  expect(isFromCauseway(header, body, SECRET, world.nowMs + 301_000)).toBe(false);
  expect(isFromCauseway(header, body, SECRET, world.nowMs - 301_000)).toBe(false);
  for (const broken of ["", "t=,v1=", "v1=00", `t=1e9,${header}`, "t=1,v1=zz"])
    expect(isFromCauseway(broken, body, SECRET, world.nowMs)).toBe(false);
  expect(await deliveries()).toEqual([{ state: "delivered", attempts: 1, problem: undefined }]);
});

test("a certificate of an unknown authority is refused", async () => {
  const { received, url } = await receiver(withStatus(204), await certificate());
  await alarmWithWebhook(url);
  await expect(send()).rejects.toThrow("certificate");
  expect(received).toEqual([]);
});

test.each<[string, Answer, string]>([
  ["an error", withStatus(500), "the receiver answered 500"],
  ["a refusal", withStatus(404), "the receiver answered 404"],
  ["a redirect", withStatus(307, { location: "http://169.254.169.254/" }), "redirects are not followed"],
  ["no answer", () => {}, "no answer within 0.3 seconds"],
  ["a broken connection", (response) => response.destroy(), "socket hang up"],
])("after %s the alarm shows what failed, and the next attempt counts", async (_, answer, problem) => {
  let isBroken = true;
  const { received, url } = await receiver((response) =>
    isBroken ? answer(response) : withStatus(200)(response),
  );
  await alarmWithWebhook(url);
  await expect(send()).rejects.toMatchObject({ name: "WebhookFailedError", retryable: true });
  expect(await deliveries()).toMatchObject([
    { state: "failing", attempts: 1, problem: expect.stringContaining(problem) },
  ]);
  isBroken = false;
  world.nowMs += 10_000;
  await send(undefined, { failedAttempts: 1 });
  expect(await deliveries()).toEqual([{ state: "delivered", attempts: 2, problem: undefined }]);
  // The same notice under the same id, signed again.
  expect(new Set(received.map(({ body }) => JSON.parse(body).id)).size).toBe(1);
  expect(new Set(received.map(({ headers }) => headers["causeway-signature"])).size).toBe(2);
});

test("a receiver that never works leaves the alarm and the topic as they are, and is given up", async () => {
  const { url } = await receiver(withStatus(500));
  await alarmWithWebhook(url);
  expect(world.topic.notices).toEqual(["raised test test"]);
  await expect(send(undefined, { failedAttempts: 10 })).rejects.toThrow();
  const Cause = JSON.stringify({
    name: "WebhookFailedError",
    message: "the receiver answered 500",
    hint: "",
  });
  await send(undefined, { failedAttempts: 11, givenUp: { Error: "WebhookFailedError", Cause } });
  expect(await deliveries()).toMatchObject([{ state: "given-up", attempts: 11 }]);
  expect(await world.audited()).toContain(`causeway alarm-webhook-given-up ${notice.id} refused`);
});

test("after the webhook was removed, waiting notices are not sent", async () => {
  const { received, url } = await receiver(withStatus(200));
  await alarmWithWebhook(url);
  await world.store.webhook.set(undefined, { setAt: "2030-01-01T00:00:01.000Z", setBy: "ada" });
  await send();
  expect([received, await deliveries()]).toMatchObject([[], [{ state: "dropped", attempts: 0 }]]);
});

test("a function that is killed after posting sends the notice again, and it counts once", async () => {
  const { received, url } = await receiver(withStatus(200));
  await alarmWithWebhook(url);
  await send();
  await send();
  expect(received).toHaveLength(2);
  expect(await deliveries()).toMatchObject([{ state: "delivered" }]);
});

test.each([
  [["10.0.0.1"], "10.0.0.1 is a private address"],
  [["8.8.8.8", "169.254.169.254"], "169.254.169.254 is not an address of a public service"],
  [["127.0.0.1"], "127.0.0.1 is a loopback address"],
  [[], "no address"],
])("a name whose addresses are %j is not connected to: %s", async (addresses, problem) => {
  const found = addresses.map((address) => ({ address, family: 4 }));
  const poster = new HttpsWebhookPoster({
    allowLoopback: false,
    timeoutMs: TIMEOUT_MS,
    addressesOf: (_, done) => done(null, found),
  });
  const url = new URL("https://alerts.example.com/");
  await expect(poster.post({ url, headers: {}, body: "{}", allowPrivate: false })).rejects.toThrow(
    `alerts.example.com: ${problem}`,
  );
});

const onAws = { allowLoopback: false, allowPrivate: false };
test.each([
  ["http://alerts.example.com/", "only https"],
  ["ftp://alerts.example.com/", "not a URL"],
  ["alerts.example.com", "not a URL"],
  ["https://ada:secret@alerts.example.com/", "name or password"],
  ["https://alerts.example.com/#part", "after #"],
  ["https://127.0.0.1:9001/2018-06-01/runtime/", "function itself"],
  ["http://localhost/", "function itself"],
  ["https://[::1]/", "function itself"],
  ["https://0x7f.1/", "function itself"],
  ["https://2130706433/", "function itself"],
  ["https://[::ffff:127.0.0.1]/", "function itself"],
  ["https://169.254.169.254/latest/meta-data", "public service"],
  ["https://[fe80::1]/", "public service"],
  ["https://[::ffff:169.254.169.254]/", "public service"],
  ["https://[64:ff9b::a9fe:a9fe]/", "public service"],
  ["https://[2002:a9fe:a9fe::]/", "public service"],
  ["https://0.0.0.0/", "public service"],
  ["https://224.0.0.1/", "public service"],
  ["https://[ff02::1]/", "public service"],
  ["https://[::]/", "public service"],
  ["https://10.0.0.1/", "private address"],
  ["https://172.31.0.1/", "private address"],
  ["https://[fd00::1]/", "private address"],
  ["https://[::ffff:192.168.0.1]/", "private address"],
])("%s is not a webhook on AWS: %s", (url, problem) => {
  expect(findUrlProblem(url, onAws)).toContain(problem);
});

test.each([
  ["https://alerts.example.com:8443/path?query", onAws],
  ["https://8.8.8.8/", onAws],
  ["https://[2606:4700::1111]/", onAws],
  ["https://10.0.0.1/", { ...onAws, allowPrivate: true }],
  ["http://127.0.0.1:8080/", { ...onAws, allowLoopback: true }],
  ["http://[::1]:8080/", { ...onAws, allowLoopback: true }],
])("%s can be a webhook with %j", (url, rules) => {
  expect(findUrlProblem(url, rules)).toBeUndefined();
});

test("the signature is the HMAC-SHA256 of time and body, as openssl computes it", () => {
  // printf '1893456000.{}' | openssl dgst -sha256 -hmac key
  expect(signatureOf("{}", "key", Date.UTC(2030, 0, 1))).toBe(
    "t=1893456000,v1=d81630ca5f035514f2fe19ef75fc819a5a6f42586bdd070c9c6ca67cd42fe998",
  );
});
