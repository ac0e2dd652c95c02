import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** A certificate signing request of a P-256 key. */
export async function createRequest(commonName: string, privateKey: webcrypto.CryptoKey): Promise<string> {
  const { kty, crv, x, y } = await webcrypto.subtle.exportKey("jwk", privateKey);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const publicKey = await webcrypto.subtle.importKey("jwk", { kty, crv, x, y }, algorithm, true, ["verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${commonName}`,
    keys: { privateKey, publicKey },
    signingAlgorithm: algorithm,
  });
  return request.toString("pem");
}
