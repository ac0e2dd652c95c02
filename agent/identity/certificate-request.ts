import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { PemConverter, Pkcs10CertificateRequestGenerator } from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/**
 * A new P-256 key and a certificate request for it, both in PEM. The key is made here and never leaves the
 * machine.
 */
export async function createCertificateRequest(
  commonName: string,
): Promise<{ keyPem: string; csrPem: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const csr = await Pkcs10CertificateRequestGenerator.create({
    name: `CN=${commonName}`,
    keys,
    signingAlgorithm: ALGORITHM,
  });
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { keyPem: PemConverter.encode(key, "PRIVATE KEY"), csrPem: csr.toString("pem") };
}
