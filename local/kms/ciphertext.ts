import { createCipheriv, createDecipheriv } from "node:crypto";
import { AwsError } from "../core/aws-error.ts";
import type { KeyVersion } from "./key-store.ts";

/**
 * A ciphertext blob: format (1 byte, 1), key id (16), key version (4, big-endian), nonce (12), tag (16),
 * ciphertext. AES-256-GCM authenticates everything before the tag together with the encryption context.
 */
const FORMAT = 1;
const HEADER_BYTES = 1 + 16 + 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export type EncryptionContext = Record<string, string>;

/** Encrypts under one key version. `nonce` must be 12 fresh random bytes. */
export function seal(
  keyId: string,
  { version, material }: KeyVersion,
  nonce: Buffer,
  context: EncryptionContext,
  plaintext: Buffer,
): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(FORMAT, 0);
  header.write(keyId.replaceAll("-", ""), 1, "hex");
  header.writeUInt32BE(version, 17);
  const cipher = createCipheriv("aes-256-gcm", material, nonce);
  cipher.setAAD(authenticated(header, nonce, context));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([header, nonce, cipher.getAuthTag(), ciphertext]);
}

/** Which key made a blob. Throws `InvalidCiphertextException` for anything that is not one. */
export function keyOf(blob: Buffer): { keyId: string; version: number } {
  if (blob.length < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || blob.readUInt8(0) !== FORMAT) {
    throw invalidCiphertext();
  }
  const keyId = blob.toString("hex", 1, 17).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return { keyId, version: blob.readUInt32BE(17) };
}

/**
 * Decrypts a blob. Throws `InvalidCiphertextException` if a byte or the encryption context differs from when
 * it was made.
 */
export function open(blob: Buffer, { material }: KeyVersion, context: EncryptionContext): Buffer {
  const header = blob.subarray(0, HEADER_BYTES);
  const nonce = blob.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES);
  const tag = blob.subarray(HEADER_BYTES + NONCE_BYTES, HEADER_BYTES + NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", material, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(authenticated(header, nonce, context));
  decipher.setAuthTag(tag);
  const ciphertext = blob.subarray(HEADER_BYTES + NONCE_BYTES + TAG_BYTES);
  try {
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
  } catch {
    throw invalidCiphertext();
  }
}

export function invalidCiphertext(): AwsError {
  return new AwsError(
    "InvalidCiphertextException",
    "the ciphertext or its encryption context is not what KMS made",
  );
}

function authenticated(header: Buffer, nonce: Buffer, context: EncryptionContext): Buffer {
  const pairs = Object.entries(context).sort(([left], [right]) => (left < right ? -1 : 1));
  return Buffer.concat([header, nonce, Buffer.from(JSON.stringify(pairs))]);
}
