import { createCipheriv, createDecipheriv, hash } from "node:crypto";
import {
  BLOB_KIND,
  BLOB_OVERHEAD_BYTES,
  type BlobPosition,
  BlobSealer,
  type Sealing,
  TAG_BYTES,
} from "./blob.ts";
import { BLOCK_BYTES } from "./block.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { DamagedObjectError, UnsupportedFormatError } from "./errors.ts";
import { derivePackKey, SALT_BYTES } from "./keys.ts";
import {
  decodePackIndex,
  type PackIndex,
  PackIndexWriter,
  type PackOrigin,
  type Placement,
} from "./pack-index.ts";

export const FORMAT_VERSION = 1;
export const PACK_KIND = { data: 1, map: 2, list: 3 } as const;
export type PackKind = keyof typeof PACK_KIND;
export const PACK_HEADER_BYTES = 32;
export const PACK_TRAILER_BYTES = 24;

const MAGIC = Buffer.from("CSWYPACK");
const END_MAGIC = Buffer.from("CSWYPEND");
/** Header bytes that are bound into every blob's seal. */
const PACK_START_BYTES = 16;

export interface PackBuilderOptions {
  kind: PackKind;
  dataKey: Uint8Array;
  /** Random and never used before. */
  salt: Uint8Array;
  origin: PackOrigin;
  /** Where the pack is built; its length limits the pack's. */
  buffer: Buffer;
  sealing: Sealing;
}

/** Builds one pack in the caller's buffer. The caller asks `hasRoom` before each addition. */
export class PackBuilder {
  readonly #options: PackBuilderOptions;
  readonly #key: Buffer;
  readonly #sealer: BlobSealer;
  readonly #index: PackIndexWriter;
  #at = PACK_HEADER_BYTES;

  constructor(options: PackBuilderOptions) {
    this.#options = options;
    this.#key = derivePackKey(options.dataKey, options.salt);
    options.buffer.set(encodePackHeader(options.kind, options.salt));
    this.#sealer = new BlobSealer(this.#key, options.buffer.subarray(0, PACK_START_BYTES));
    this.#index = new PackIndexWriter(options.origin);
  }

  get isEmpty(): boolean {
    return this.#index.blobs === 0 && this.#index.placements === 0;
  }

  /** How many places of the disk this pack describes. */
  get placements(): number {
    return this.#index.placements;
  }

  /** Whether `blobs` more blobs with `bytes` in total and `placements` places are sure to fit. */
  hasRoom(more: { blobs: number; bytes: number; placements: number }): boolean {
    const tail = this.#index.byteLengthWith(more) + TAG_BYTES + PACK_TRAILER_BYTES;
    const end = this.#at + more.bytes + more.blobs * BLOB_OVERHEAD_BYTES + tail;
    return end <= this.#options.buffer.length;
  }

  /** Compresses and seals consecutive blocks of `bytes`, one placement each. */
  addUnit(bytes: Buffer, placements: Placement[]): BlobPosition {
    if (bytes.length !== placements.length * BLOCK_BYTES) throw new RangeError("one placement per block");
    const position = this.#add(BLOB_KIND.unit, placements.length, bytes);
    this.#index.addUnit(position, placements);
    return position;
  }

  /** Seals one node of the disk map. */
  addMapNode(bytes: Buffer, level: number, index: number): BlobPosition {
    const position = this.#add(BLOB_KIND.map, 0, bytes);
    this.#index.addMapNode(position, level, index);
    return position;
  }

  /** Seals a part of a list of files, which the caller has compressed. */
  addList(bytes: Buffer): BlobPosition {
    const position = this.#add(BLOB_KIND.list, 0, bytes);
    this.#index.addList(position);
    return position;
  }

  /** Records that a place now has content that is stored elsewhere, or no content (the zero id). */
  addReference(placement: Placement): void {
    this.#index.addReference(placement);
  }

  /** Closes the pack; its name is the hash of all its bytes. */
  finish(): { name: Buffer; bytes: Buffer } {
    const { buffer } = this.#options;
    const index = this.#index.finish();
    const trailer = new ByteWriter(PACK_TRAILER_BYTES);
    trailer
      .u32(this.#at)
      .u32(index.length + TAG_BYTES)
      .u32(this.#index.blobs)
      .u32(0)
      .raw(END_MAGIC);
    const cipher = createCipheriv("aes-256-gcm", this.#key, INDEX_NONCE);
    cipher.setAAD(Buffer.concat([buffer.subarray(0, PACK_HEADER_BYTES), trailer.done()]));
    for (const part of [cipher.update(index), cipher.final(), cipher.getAuthTag(), trailer.bytes]) {
      buffer.set(part, this.#at);
      this.#at += part.length;
    }
    const bytes = buffer.subarray(0, this.#at);
    return { name: hash("sha256", bytes, "buffer"), bytes };
  }

  #add(kind: (typeof BLOB_KIND)[keyof typeof BLOB_KIND], blocks: number, bytes: Buffer): BlobPosition {
    const at = { number: this.#index.blobs, offset: this.#at };
    const { buffer, sealing } = this.#options;
    const sealedBytes = this.#sealer.seal({ kind, blocks, bytes }, at, buffer, sealing);
    this.#at += sealedBytes;
    return { ...at, sealedBytes };
  }
}

const INDEX_NONCE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

function encodePackHeader(kind: PackKind, salt: Uint8Array): Buffer {
  if (salt.length !== SALT_BYTES) throw new RangeError(`a salt has ${SALT_BYTES} bytes`);
  const out = new ByteWriter(PACK_HEADER_BYTES);
  return out.raw(MAGIC).u16(FORMAT_VERSION).u8(PACK_KIND[kind]).u8(0).u32(0).raw(salt).done();
}

/** Opens blobs of a pack with only its salt, which disk maps contain. */
export function createBlobOpener(dataKey: Uint8Array, kind: PackKind, salt: Uint8Array): BlobSealer {
  const packStart = encodePackHeader(kind, salt).subarray(0, PACK_START_BYTES);
  return new BlobSealer(derivePackKey(dataKey, salt), packStart);
}

export interface OpenedPack {
  kind: PackKind;
  salt: Buffer;
  index: PackIndex;
  indexOffset: number;
  sealer: BlobSealer;
}

/** Reads a whole pack's own description of itself. `object` is the pack's key, for errors. */
export function openPack(dataKey: Uint8Array, bytes: Buffer, object: string): OpenedPack {
  const { kind, salt } = decodePackHeader(bytes, object);
  if (bytes.length < PACK_HEADER_BYTES + PACK_TRAILER_BYTES + TAG_BYTES) {
    throw new DamagedObjectError(object, "it is cut short");
  }
  const indexOffset = bytes.readUInt32LE(bytes.length - PACK_TRAILER_BYTES);
  const index = openPackIndex({ dataKey, kind, salt }, bytes.subarray(indexOffset), indexOffset, object);
  const sealer = new BlobSealer(derivePackKey(dataKey, salt), bytes.subarray(0, PACK_START_BYTES));
  return { kind, salt, index, indexOffset, sealer };
}

/** Reads a pack's index from its `tail`: all bytes from `indexOffset` to its end. */
export function openPackIndex(
  pack: { dataKey: Uint8Array; kind: PackKind; salt: Uint8Array },
  tail: Buffer,
  indexOffset: number,
  object: string,
): PackIndex {
  if (tail.length < TAG_BYTES + PACK_TRAILER_BYTES) throw new DamagedObjectError(object, "it is cut short");
  const sealed = tail.subarray(0, tail.length - PACK_TRAILER_BYTES);
  const trailer = tail.subarray(sealed.length);
  const input = new ByteReader(trailer, object);
  if (input.u32() !== indexOffset || input.u32() !== sealed.length) {
    throw new DamagedObjectError(object, "its trailer does not fit its length");
  }
  const blobs = input.u32();
  input.zeros(4);
  if (!input.raw(END_MAGIC.length).equals(END_MAGIC))
    throw new DamagedObjectError(object, "it has no end mark");
  const aad = Buffer.concat([encodePackHeader(pack.kind, pack.salt), trailer]);
  const plain = openIndex(derivePackKey(pack.dataKey, pack.salt), sealed, aad, object);
  const index = decodePackIndex(plain, object);
  if (index.blobs.length !== blobs)
    throw new DamagedObjectError(object, "its index does not fit its trailer");
  return index;
}

/** Whether the bytes begin like a pack of map nodes. They may still be damaged. */
export function isMapPack(bytes: Uint8Array): boolean {
  return MAGIC.equals(bytes.subarray(0, MAGIC.length)) && bytes[MAGIC.length + 2] === PACK_KIND.map;
}

function decodePackHeader(bytes: Buffer, object: string): { kind: PackKind; salt: Buffer } {
  const input = new ByteReader(bytes.subarray(0, PACK_HEADER_BYTES), object);
  if (!input.raw(MAGIC.length).equals(MAGIC)) throw new DamagedObjectError(object, "it is no pack");
  const version = input.u16();
  if (version !== FORMAT_VERSION) throw new UnsupportedFormatError(object, version);
  const code = input.u8();
  input.zeros(5);
  const salt = input.raw(SALT_BYTES);
  if (code === PACK_KIND.data) return { kind: "data", salt };
  if (code === PACK_KIND.map) return { kind: "map", salt };
  if (code === PACK_KIND.list) return { kind: "list", salt };
  throw new DamagedObjectError(object, "its kind is unknown");
}

function openIndex(key: Uint8Array, sealed: Buffer, aad: Buffer, object: string): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, INDEX_NONCE);
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new DamagedObjectError(object, "its index fails authentication", { cause });
  }
}
