/** For tests: an agent's key with a certificate of it. */
import { webcrypto } from "node:crypto";
import "reflect-metadata";
import { PemConverter, X509CertificateGenerator } from "@peculiar/x509";

export interface AgentKey {
  keyPem: string;
  certificatePem: string;
}

export async function createAgentKey(): Promise<AgentKey> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({ keys, signingAlgorithm: algorithm });
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { keyPem: PemConverter.encode(key, "PRIVATE KEY"), certificatePem: certificate.toString("pem") };
}
