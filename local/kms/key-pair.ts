import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";

/** The only algorithm of P-256 keys in the embedded cloud. */
export const SIGNING_ALGORITHM = "ECDSA_SHA_256";

/** A new private key on P-256: PKCS #8, DER. */
export function createKeyPair(): Buffer {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "der" });
}

/** Its public part: SPKI, DER. */
export function publicKeyOf(material: Buffer): Buffer {
  return createPublicKey(privateKeyOf(material)).export({ type: "spki", format: "der" });
}

/** ECDSA over SHA-256 of the message; DER. */
export function signWith(material: Buffer, message: Buffer): Buffer {
  return sign("sha256", message, privateKeyOf(material));
}

function privateKeyOf(material: Buffer) {
  return createPrivateKey({ key: material, format: "der", type: "pkcs8" });
}
