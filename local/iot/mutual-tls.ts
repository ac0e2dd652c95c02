import { constants } from "node:crypto";
import type { Server } from "node:net";
import type { TLSSocket, TlsOptions } from "node:tls";
import { type CertificateAuthority, certificateId } from "./certificate-authority.ts";

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Only clients with a certificate of the authority get through the handshake; its status is checked afterwards. */
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
    // Each connection proves its key anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** The id of the certificate with which the peer authenticated. */
export function peerCertificateId(socket: TLSSocket): string {
  return certificateId(socket.getPeerCertificate().raw);
}

/** Listens and gives the port; throws when the port is taken. */
export function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.removeListener("error", reject);
      const address = server.address();
      if (typeof address !== "object" || address === null) throw new Error("the server has no address");
      resolve(address.port);
    });
  });
}
