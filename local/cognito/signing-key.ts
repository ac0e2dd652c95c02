import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { calculateJwkThumbprint, exportJWK, type JWK } from "jose";

export interface SigningKey {
  privateKey: KeyObject;
  publicKey: KeyObject;
  /** The public key in the form that the key set publishes, with `kid`, `alg` and `use`. */
  jwk: JWK & { kid: string };
}

/** Loads the RSA key from this file, which only its owner can read. Creates the file if it does not exist. */
export async function loadSigningKey(path: string): Promise<SigningKey> {
  if (!existsSync(path)) createKeyFile(path);
  chmodSync(path, 0o600);
  const privateKey = createPrivateKey(readFileSync(path));
  const publicKey = createPublicKey(privateKey);
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { privateKey, publicKey, jwk: { ...jwk, kid, alg: "RS256", use: "sig" } };
}

/** Writes under another name first, so that a crash leaves no partial key. */
function createKeyFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const file = openSync(`${path}.new`, "w", 0o600);
  writeSync(file, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
}
