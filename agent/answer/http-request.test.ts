/** HTTP checks of real servers, most of which misbehave as servers did in reports about other checkers. */
import "reflect-metadata";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { promisify } from "node:util";
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { expect, onTestFinished, test } from "vitest";
import { answerAddressProblem } from "#shared/protocol/answer-address.ts";
import { type HttpCheck, httpRefusal } from "./http-request.ts";
import { checkedLookup, hostReach } from "./reach.ts";
import { loopbackReach } from "./testing/loopback-reach.ts";
import type { CheckMeans } from "./wait.ts";

const never = new AbortController().signal;

function ask(
  url: string,
  given: { certificate?: HttpCheck["certificate"]; reach?: Partial<CheckMeans> } = {},
) {
  const { certificate = "verified", reach } = given;
  return httpRefusal({ kind: "http", url, certificate }, loopbackReach(reach), never);
}

/** A server that does this with each connection. Returns its URL, and what it was sent. */
async function server(serve: (socket: Socket) => void, host = "127.0.0.1") {
  const sockets = new Set<Socket>();
  const seen = { text: "", closed: 0, url: "" };
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => seen.closed++);
    socket.on("data", (bytes) => {
      seen.text += bytes.toString("latin1");
    });
    serve(socket);
  });
  await once(listener.listen(0, host), "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  const { port } = listener.address() as AddressInfo;
  seen.url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/health`;
  return seen;
}

const answering = (text: string) => (socket: Socket) => {
  socket.once("data", () => socket.write(text));
};

/** Writes again and again. */
const repeating = (text: string, intervalMs: number) => (socket: Socket) => {
  const timer = setInterval(() => socket.write(text), intervalMs);
  socket.on("close", () => clearInterval(timer));
};

test.each([
  ["200 OK", undefined],
  ["204 No Content", undefined],
  ["299 Miscellaneous", undefined],
  ["404 Not Found", "status 404"],
  ["503 Service Unavailable", "status 503"],
])("an answer with %s is: %s", async (status, refusal) => {
  const { url } = await server(answering(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\n\r\n`));
  expect(await ask(url)).toBe(refusal);
});

test("a redirect to a login page is no answer, and is not followed", async () => {
  let asked = 0;
  const login = createHttpServer((request, response) => {
    asked++;
    if (request.url === "/login") response.end("who are you?");
    else response.writeHead(302, { location: "/login" }).end();
  });
  await once(login.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void login.close());
  const { port } = login.address() as AddressInfo;
  expect(await ask(`http://127.0.0.1:${port}/`)).toBe("status 302, and redirects are not followed");
  expect(asked).toBe(1);
});

test.each<[string, (socket: Socket) => void]>([
  ["accepts the connection and says nothing", () => {}],
  [
    "sends its headers one byte at a time",
    (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nx: ");
      repeating("y", 20)(socket);
    },
  ],
  ["has only interim answers", repeating("HTTP/1.1 102 Processing\r\n\r\n", 20)],
])("a server that %s does not answer in time", async (_, serve) => {
  const { url } = await server(serve);
  const began = performance.now();
  expect(await ask(url)).toBe("no answer in time");
  expect(performance.now() - began).toBeLessThan(3000);
});

test("of an answer with an endless body the status counts, and the connection is closed", async () => {
  const endless = await server((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    repeating(`4000\r\n${"x".repeat(0x4000)}\r\n`, 5)(socket);
  });
  expect(await ask(endless.url)).toBeUndefined();
  await expect.poll(() => endless.closed).toBe(1);
});

test("endless headers are read up to a limit", async () => {
  const { url } = await server((socket) => {
    socket.write("HTTP/1.1 200 OK\r\n");
    repeating(`${"x: y\r\n".repeat(500)}`, 5)(socket);
  });
  expect(await ask(url)).toBe("no HTTP: HPE_HEADER_OVERFLOW");
});

test.each([
  ["that speaks HTTP/1.0 and closes", "HTTP/1.0 200 OK\r\nserver: old\r\n\r\nhealthy", undefined],
  ["whose body is longer than it says", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhealthy", undefined],
  [
    "whose body is not chunked as it says",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    undefined,
  ],
  [
    "that switches to another protocol",
    "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "status 101",
  ],
  ["of SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", "no HTTP: HPE_INVALID_CONSTANT"],
  ["without headers", "<html>It works!</html>", "no HTTP: HPE_INVALID_CONSTANT"],
])("the answer of a server %s is judged by its status alone", async (_, text, refusal) => {
  const { url } = await server((socket) => {
    socket.once("data", () => socket.end(text));
  });
  expect(await ask(url)).toBe(refusal);
});

test("a server that closes the connection, and one that is not there, are named as such", async () => {
  const { url } = await server((socket) => socket.resetAndDestroy());
  expect(await ask(url)).toBe("ECONNRESET");
  expect(await ask("http://127.0.0.1:1/")).toBe("ECONNREFUSED");
});

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === "::1"),
);

test.runIf(hasIpv6)("an address of IPv6 is in brackets in the Host header", async () => {
  const seen = await server(answering("HTTP/1.1 200 OK\r\n\r\n"), "::1");
  expect(await ask(seen.url)).toBeUndefined();
  expect(seen.text).toMatch(/^GET \/health HTTP\/1\.1\r\n/);
  expect(seen.text).toContain(`\r\nHost: ${new URL(seen.url).host}\r\n`);
});

test("the proxy of the environment is not used", async () => {
  const { url } = await server(answering("HTTP/1.1 200 OK\r\n\r\n"));
  const proxy = await server(answering("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
  const module = (path: string) => JSON.stringify(join(import.meta.dirname, path));
  const program = `
    const { httpRefusal } = await import(${module("http-request.ts")});
    const { loopbackReach } = await import(${module("testing/loopback-reach.ts")});
    const check = { kind: "http", url: ${JSON.stringify(url)}, certificate: "verified" };
    console.log(await httpRefusal(check, loopbackReach({ requestLimitMs: 5000 }), new AbortController().signal));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], {
    env: { NODE_USE_ENV_PROXY: "1", HTTP_PROXY: new URL(proxy.url).origin },
    cwd: import.meta.dirname,
  });
  expect([stdout.trim(), proxy.text]).toEqual(["undefined", ""]);
});

async function httpsServer(names: { name: string; days: number }) {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const day = 24 * 3600_000;
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...{ name: `CN=${names.name}`, keys, signingAlgorithm: algorithm },
    notBefore: new Date(Date.now() - 30 * day),
    notAfter: new Date(Date.now() + names.days * day),
    extensions: [
      new SubjectAlternativeNameExtension([
        { type: /^[\d.]+$/.test(names.name) ? "ip" : "dns", value: names.name },
      ]),
    ],
  });
  const cert = certificate.toString("pem");
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`;
  const listener = createHttpsServer({ key, cert }, (_, response) => response.end());
  listener.on("tlsClientError", () => {});
  await once(listener.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    listener.closeAllConnections();
    listener.close();
  });
  return { cert, port: (listener.address() as AddressInfo).port };
}

test.each([
  ["of an authority that is not trusted", "127.0.0.1", 30, false, "DEPTH_ZERO_SELF_SIGNED_CERT"],
  ["of a trusted authority", "127.0.0.1", 30, true, undefined],
  ["for another name", "www.example.org", 30, true, "ERR_TLS_CERT_ALTNAME_INVALID"],
  ["that has expired", "127.0.0.1", -1, true, "CERT_HAS_EXPIRED"],
])("a certificate %s is judged, unless any is accepted", async (_, name, days, isTrusted, why) => {
  const { cert, port } = await httpsServer({ name, days });
  const reach = { trusted: () => createSecureContext({ ca: isTrusted ? [cert] : [] }) };
  const refusal = why && `its certificate is not accepted: ${why}`;
  expect(await ask(`https://127.0.0.1:${port}/`, { reach })).toBe(refusal);
  expect(await ask(`https://127.0.0.1:${port}/`, { reach, certificate: "any" })).toBeUndefined();
});

test("a certificate is checked against the name in the URL, to whichever address that leads", async () => {
  const { cert, port } = await httpsServer({ name: "www.example.org", days: 30 });
  const toLoopback = checkedLookup(
    () => undefined,
    (_, done) => done(null, [{ address: "127.0.0.1", family: 4 }]),
  );
  const reach = { trusted: () => createSecureContext({ ca: [cert] }), lookup: toLoopback };
  expect(await ask(`https://www.example.org:${port}/`, { reach })).toBeUndefined();
});

test("TLS with a server that has none, and none with a server that has, are no answer", async () => {
  const { url } = await server(answering("HTTP/1.1 400 Bad Request\r\n\r\n"));
  expect(await ask(url.replace("http:", "https:"), { certificate: "any" })).toMatch(/^(ERR_SSL_|EPROTO)/);
  const { port } = await httpsServer({ name: "127.0.0.1", days: 30 });
  expect(await ask(`http://127.0.0.1:${port}/`)).toMatch(/^ECONNRESET|^no HTTP/);
});

test.each([
  "127.0.0.1",
  "[::1]",
  "[::ffff:127.0.0.1]",
  "2130706433",
  "169.254.169.254",
  "0.0.0.0",
  "[ff02::1]",
])("no connection is opened to %s, where no machine can be", async (host) => {
  const seen = await server(answering("HTTP/1.1 200 OK\r\n\r\n"));
  const { port } = new URL(seen.url);
  const reach = { addressProblem: answerAddressProblem };
  expect(await ask(`http://${host}:${port}/`, { reach })).toMatch(
    /is the target host itself|is not the address of a machine/,
  );
  expect(seen.text).toBe("");
});

test("no connection is opened if one address of a name is that of no machine", async () => {
  const addresses = [
    { address: "192.0.2.7", family: 4 },
    { address: "169.254.169.254", family: 4 },
  ];
  const reach = { lookup: checkedLookup(answerAddressProblem, (_, done) => done(null, addresses)) };
  expect(await ask("http://metadata.example/", { reach })).toContain("169.254.169.254 is not the address");
});

test("no connection is opened to any address of this host, however it is written", async () => {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  for (const { address, family } of own) {
    const host = family === "IPv6" ? `[${address.toUpperCase()}]` : address;
    const check = { kind: "http" as const, url: `http://${host}:1/`, certificate: "any" as const };
    expect(await httpRefusal(check, hostReach, never)).toMatch(
      /target host itself|not the address of a machine/,
    );
  }
  expect(own.length).toBeGreaterThan(0);
});
