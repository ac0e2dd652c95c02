import { createCipheriv, createDecipheriv } from "node:crypto";
import { BLOCK_BYTES } from "./block.ts";
import type { Compressor } from "./compression.ts";
import { DamagedObjectError } from "./errors.ts";

/**
 * The content of a blob: a `unit` is some blocks compressed together, a `map` one node of a disk map, a
 * `list` a part of a list of files.
 */
export const BLOB_KIND = { unit: 1, map: 2, list: 3 } as const;
export type BlobKind = (typeof BLOB_KIND)[keyof typeof BLOB_KIND];

const CODEC = { stored: 0, zstd: 1 } as const;
export const BLOB_HEADER_BYTES = 4;
export const TAG_BYTES = 16;
/** How many bytes sealing adds to content that does not compress. */
export const BLOB_OVERHEAD_BYTES = BLOB_HEADER_BYTES + TAG_BYTES;
/** The most blocks that are compressed together; see docs/decisions/0010. */
export const UNIT_BLOCKS = 4;
export const UNIT_BYTES: number = UNIT_BLOCKS * BLOCK_BYTES;

/** No sealed blob is longer: a unit that does not compress, or a leaf that is all bad ranges. */
export const MAX_SEALED_BYTES: number = 2 ** 20;

/** The position of a blob in its pack. Its seal covers number and offset. */
export interface BlobPosition {
  number: number;
  offset: number;
  sealedBytes: number;
}

export interface BlobContent {
  kind: BlobKind;
  /** Blocks in a unit; 0 for anything else. */
  blocks: number;
  bytes: Buffer;
}

/** Seals and opens the blobs of one pack. */
export class BlobSealer {
  readonly #key: Uint8Array;
  readonly #packStart: Uint8Array;

  /** `packStart`: the first 16 bytes of the pack's header, which name its format and kind. */
  constructor(packKey: Uint8Array, packStart: Uint8Array) {
    this.#key = packKey;
    this.#packStart = packStart;
  }

  /**
   * Writes the sealed blob at `position.offset` of `pack` and returns its length. `scratch` takes the
   * compressed form and must be as long as the content; content that compression does not shorten is stored
   * as it is.
   */
  seal(
    content: BlobContent,
    position: Omit<BlobPosition, "sealedBytes">,
    pack: Buffer,
    using: Sealing,
  ): number {
    const { compressor, scratch } = using;
    const compressed =
      content.kind === BLOB_KIND.unit && compressor
        ? compressor.compress(content.bytes, scratch.subarray(0, content.bytes.length - 1))
        : -1;
    const payload = compressed < 0 ? content.bytes : scratch.subarray(0, compressed);
    const header = Buffer.alloc(BLOB_HEADER_BYTES);
    header.writeUInt8(compressed < 0 ? CODEC.stored : CODEC.zstd, 0);
    header.writeUInt8(content.kind, 1);
    header.writeUInt16LE(content.blocks, 2);
    const cipher = createCipheriv("aes-256-gcm", this.#key, blobNonce(position.number));
    cipher.setAAD(this.#additional(position));
    let at = position.offset;
    const append = (part: Buffer) => {
      pack.set(part, at);
      at += part.length;
    };
    append(cipher.update(header));
    for (const slice of slices(payload)) append(cipher.update(slice));
    append(cipher.final());
    append(cipher.getAuthTag());
    return at - position.offset;
  }

  /**
   * Opens a sealed blob. Units expand into `output`, which the content then points into; others need none.
   */
  open(
    sealed: Uint8Array,
    position: Omit<BlobPosition, "sealedBytes">,
    object: string,
    using: Opening,
  ): BlobContent {
    const plain = this.#decrypt(sealed, position, object);
    const [codec, kind] = [plain.readUInt8(0), plain.readUInt8(1)];
    const blocks = plain.readUInt16LE(2);
    const payload = plain.subarray(BLOB_HEADER_BYTES);
    const isStored = kind === BLOB_KIND.map || kind === BLOB_KIND.list;
    if (isStored && codec === CODEC.stored && blocks === 0) return { kind, blocks, bytes: payload };
    const length = blocks * BLOCK_BYTES;
    if (kind !== BLOB_KIND.unit || blocks < 1 || length > using.output.length) {
      throw new DamagedObjectError(object, "a blob has an impossible header");
    }
    const output = using.output.subarray(0, length);
    return { kind, blocks, bytes: this.#expand(codec, payload, output, object, using.compressor) };
  }

  #expand(codec: number, payload: Buffer, output: Buffer, object: string, compressor: Compressor): Buffer {
    if (codec === CODEC.stored && payload.length === output.length) {
      output.set(payload);
      return output;
    }
    if (codec !== CODEC.zstd) throw new DamagedObjectError(object, "a blob has an impossible header");
    try {
      if (compressor.expand(payload, output) === output.length) return output;
    } catch (cause) {
      throw new DamagedObjectError(object, "a unit does not expand", { cause });
    }
    throw new DamagedObjectError(object, "a unit expands to the wrong size");
  }

  #decrypt(sealed: Uint8Array, position: Omit<BlobPosition, "sealedBytes">, object: string): Buffer {
    if (sealed.length < BLOB_OVERHEAD_BYTES) throw new DamagedObjectError(object, "a blob is cut short");
    const decipher = createDecipheriv("aes-256-gcm", this.#key, blobNonce(position.number));
    decipher.setAAD(this.#additional(position));
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    try {
      const plain = Buffer.allocUnsafe(sealed.length - TAG_BYTES);
      let at = 0;
      for (const slice of slices(sealed.subarray(0, plain.length)))
        at += decipher.update(slice).copy(plain, at);
      decipher.final();
      return plain;
    } catch (cause) {
      throw new DamagedObjectError(object, `the blob at byte ${position.offset} fails authentication`, {
        cause,
      });
    }
  }

  #additional(position: Omit<BlobPosition, "sealedBytes">): Buffer {
    const additional = Buffer.alloc(24);
    additional.set(this.#packStart);
    additional.writeUInt32LE(position.number, 16);
    additional.writeUInt32LE(position.offset, 20);
    return additional;
  }
}

export interface Sealing {
  /** If absent, everything is stored uncompressed. */
  compressor?: Compressor;
  scratch: Buffer;
}
export interface Opening {
  compressor: Compressor;
  output: Buffer;
}

/**
 * Each cipher call allocates its output; slices of one size let the allocator use the same memory again and
 * again.
 */
function* slices(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}
const SLICE_BYTES = 32 * 1024;

function blobNonce(number: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32LE(number, 4);
  return nonce;
}
