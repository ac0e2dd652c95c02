import { hash } from "node:crypto";

/** The unit of capture. The last block of a disk may be shorter; it is padded with zeros to this. */
export const BLOCK_BYTES = 64 * 1024;
export const ID_BYTES = 32;
/** The id of a block of zeros, which no other block has in practice and which is never looked up. */
export const ZERO_ID: Buffer = Buffer.alloc(ID_BYTES);

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Whether all bytes, at most one block of them, are zero. */
export function isZero(block: Buffer): boolean {
  return block.equals(block.length === BLOCK_BYTES ? ZEROS : ZEROS.subarray(0, block.length));
}

const SHA256_BLOCK_BYTES = 64;

/**
 * Names blocks: HMAC-SHA256(key, SHA-256(block)). Hashing first and keying the digest costs one pass at the
 * speed of the one-shot hash; the two short hashes of the HMAC are written out because creating an HMAC
 * object per block is slower.
 */
export class BlockNamer {
  readonly #inner = Buffer.alloc(SHA256_BLOCK_BYTES + ID_BYTES, 0x36);
  readonly #outer = Buffer.alloc(SHA256_BLOCK_BYTES + ID_BYTES, 0x5c);

  /** `key` comes from `deriveBlockIdKey`. */
  constructor(key: Uint8Array) {
    key.forEach((byte, at) => {
      this.#inner[at] = byte ^ 0x36;
      this.#outer[at] = byte ^ 0x5c;
    });
  }

  /** The id of a whole block that is not all zeros. */
  idOf(block: Uint8Array): Buffer {
    this.#inner.set(hash("sha256", block, "buffer"), SHA256_BLOCK_BYTES);
    this.#outer.set(hash("sha256", this.#inner, "buffer"), SHA256_BLOCK_BYTES);
    return hash("sha256", this.#outer, "buffer");
  }
}

/** How many blocks a disk of this size has. */
export function blockCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES);
}
