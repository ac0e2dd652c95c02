import { constants, randomInt } from "node:crypto";
import type { Server } from "node:net";
import type { TLSSocket, TlsOptions } from "node:tls";
import { type CertificateAuthority, certificateId } from "./certificate-authority.ts";

const HANDSHAKE_TIMEOUT_MS = 10_000;
// Below the range for outgoing connections: such a connection could occupy our port at the next start.
const FREE_PORTS = { from: 20_000, to: 32_768 };
const MAX_ATTEMPTS = 100;

/**
 * Only clients with a certificate from the authority complete the handshake. The certificate's status is
 * checked afterwards.
 */
export async function mutualTlsOptions(
  authority: CertificateAuthority,
  hosts: string[],
): Promise<TlsOptions> {
  return {
    ...(await authority.issueServer(hosts)),
    ca: [authority.certificatePem],
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    // Each connection must prove its key again.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** The id of the certificate with which the peer authenticated. */
export function peerCertificateId(socket: TLSSocket): string {
  return certificateId(socket.getPeerCertificate().raw);
}

/** Listens and returns the port: the given one, or a free one for 0. Rejects if the given one is taken. */
export async function listen(server: Server, port: number, host: string): Promise<number> {
  if (port !== 0) return listenOn(server, port, host);
  for (let attempt = 1; ; attempt++) {
    try {
      return await listenOn(server, randomInt(FREE_PORTS.from, FREE_PORTS.to), host);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

function listenOn(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.removeListener("error", reject);
      resolve(port);
    });
  });
}
