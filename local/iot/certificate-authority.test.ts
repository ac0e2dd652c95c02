import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CertificateAuthority } from "./certificate-authority.ts";
import { listen } from "./mutual-tls.ts";
import { newKeyAndCsr } from "./testing/device.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "authority-"));
});
afterEach(() => rm(directory, { recursive: true }));

/**
 * The result of a handshake between a client that trusts the authority and a server at 127.0.0.1 with this
 * certificate.
 */
async function handshake(authority: CertificateAuthority, server: { key: string; cert: string }) {
  const tlsServer = createServer(server, (socket) => socket.end());
  const port = await listen(tlsServer, 0, "127.0.0.1");
  try {
    return await new Promise<string>((resolve) => {
      const socket = connect({ host: "127.0.0.1", port, servername: "", ca: authority.certificatePem });
      socket.once("secureConnect", () => resolve("trusted")).resume();
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  } finally {
    await new Promise((closed) => tlsServer.close(closed));
  }
}

test("clients trust the servers of the authority under their names only", async () => {
  const authority = await CertificateAuthority.open(directory);
  const here = await authority.issueServer(["localhost", "127.0.0.1", "cloud.example"]);
  expect(await handshake(authority, here)).toBe("trusted");
  const elsewhere = await authority.issueServer(["cloud.example"]);
  expect(await handshake(authority, elsewhere)).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
});

test("a device cannot pass for a server, whatever name it asked for", async () => {
  const authority = await CertificateAuthority.open(directory);
  const { key, csr } = await newKeyAndCsr("127.0.0.1");
  const { pem } = await authority.issueFromRequest(csr);
  expect(await handshake(authority, { key, cert: pem })).toBe("INVALID_PURPOSE");
});

test("after a crash while the authority was created, the next start succeeds", async () => {
  await writeFile(join(directory, "authority-key.pem.new"), "-----BEGIN PRIV");
  const first = await CertificateAuthority.open(directory);
  const server = await first.issueServer(["127.0.0.1"]);
  // The key was written, its certificate was not.
  await rm(join(directory, "authority.pem"));
  const second = await CertificateAuthority.open(directory);
  expect(await handshake(second, server)).toBe("trusted");
});

test("a PEM block with another label is not accepted as a certificate request", async () => {
  const authority = await CertificateAuthority.open(directory);
  const { csr } = await newKeyAndCsr("alpha");
  const refused = authority.issueFromRequest(csr.replaceAll(" REQUEST", ""));
  await expect(refused).rejects.toThrow("not PKCS #10 in PEM form");
});
