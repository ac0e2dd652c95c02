import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { KeyContext, KeyService } from "../data-key.ts";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Data keys wrapped by a given master key, for a repository without KMS. */
export class SealedKeys implements KeyService {
  readonly #master: Uint8Array;

  /** `master`: 32 bytes. */
  constructor(master: Uint8Array) {
    this.#master = master;
  }

  async generate(
    context: KeyContext,
  ): Promise<{ plaintext: Uint8Array; wrapped: Uint8Array; keyId: string }> {
    const plaintext = randomBytes(32);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#master, nonce);
    cipher.setAAD(Buffer.from(JSON.stringify(context)));
    const wrapped = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    return { plaintext, wrapped, keyId: "key-file" };
  }

  async decrypt(wrapped: Uint8Array, context: KeyContext): Promise<Uint8Array> {
    const decipher = createDecipheriv("aes-256-gcm", this.#master, wrapped.subarray(0, NONCE_BYTES));
    decipher.setAAD(Buffer.from(JSON.stringify(context)));
    decipher.setAuthTag(wrapped.subarray(wrapped.length - TAG_BYTES));
    const sealed = wrapped.subarray(NONCE_BYTES, wrapped.length - TAG_BYTES);
    return Buffer.concat([decipher.update(sealed), decipher.final()]);
  }
}
