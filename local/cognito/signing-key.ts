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
  /** As the key set publishes it: with `kid`, `alg` and `use`. */
  jwk: JWK & { kid: string };
}

/** The RSA key kept in this file, readable by its owner only; made when there is none. */
export async function loadSigningKey(path: string): Promise<SigningKey> {
  if (!existsSync(path)) createKeyFile(path);
  chmodSync(path, 0o600);
  const privateKey = createPrivateKey(readFileSync(path));
  const publicKey = createPublicKey(privateKey);
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { privateKey, publicKey, jwk: { ...jwk, kid, alg: "RS256", use: "sig" } };
}

/** Under another name first: a crash must not leave half a key behind. */
function createKeyFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const file = openSync(`${path}.new`, "w", 0o600);
  writeSync(file, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
}
