import { createCipheriv, createDecipheriv } from "node:crypto";
import { z } from "zod";
import { TAG_BYTES } from "./blob.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { DamagedObjectError, UnsupportedFormatError } from "./errors.ts";
import { derivePointKey, SALT_BYTES } from "./keys.ts";
import type { BlobRef } from "./map-node.ts";
import { FORMAT_VERSION } from "./pack.ts";

export const POINT_HEADER_BYTES = 32;
const MAGIC = Buffer.from("CSWYPONT");

/** Names of recovery points and source servers: they become parts of object keys. */
export const RepositoryId = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z_-]{0,127}$/);

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const wholeBytes = z.int().nonnegative();

/** Where the top node of a disk's map lies. */
export const MapRoot = z.strictObject({
  pack: hex(32),
  salt: hex(SALT_BYTES),
  number: z.int().nonnegative(),
  offset: z.int().nonnegative(),
  sealedBytes: z.int().positive(),
});
export type MapRoot = z.infer<typeof MapRoot>;

/** One disk of a recovery point. */
export const PointDisk = z.strictObject({
  name: z.string().min(1).max(255),
  sizeBytes: wholeBytes,
  /** Null: the whole disk is zeros. */
  root: MapRoot.nullable(),
  /** What the restored disk's hash tree must come to. */
  contentHash: hex(32),
  /** Bytes in blocks that are not all zeros. */
  usedBytes: wholeBytes,
  /** Ranges that could not be read and count as zeros, and their bytes. */
  badRanges: z.int().nonnegative(),
  badBytes: wholeBytes,
});
export type PointDisk = z.infer<typeof PointDisk>;

/** A recovery point: an immutable, consistent set of disk maps of one source server at one time. */
export const Point = z.strictObject({
  pointId: RepositoryId,
  sourceId: RepositoryId,
  /** ISO 8601, UTC. */
  createdAt: z.iso.datetime(),
  /** The point whose maps this one builds on. */
  parentId: RepositoryId.nullable(),
  agentVersion: z.string().max(64),
  disks: z.array(PointDisk).min(1).max(256),
});
export type Point = z.infer<typeof Point>;

export interface PointSeal {
  dataKey: Uint8Array;
  /** Random and never used before. */
  salt: Uint8Array;
}

/** The bytes of a recovery point's object: header, then sealed JSON with its fields in the schema's order. */
export function encodePoint(point: Point, { dataKey, salt }: PointSeal): Buffer {
  const json = Buffer.from(JSON.stringify(Point.parse(point)));
  const header = new ByteWriter(POINT_HEADER_BYTES)
    .raw(MAGIC)
    .u16(FORMAT_VERSION)
    .u16(0)
    .u32(0)
    .raw(salt)
    .done();
  const cipher = createCipheriv("aes-256-gcm", derivePointKey(dataKey, salt), POINT_NONCE);
  cipher.setAAD(additional(header, point));
  return Buffer.concat([header, cipher.update(json), cipher.final(), cipher.getAuthTag()]);
}
const POINT_NONCE = Buffer.alloc(12);

/** Opens a recovery point, which must be the one of these ids. */
export function decodePoint(
  bytes: Buffer,
  expected: { dataKey: Uint8Array; sourceId: string; pointId: string },
  object: string,
): Point {
  const header = bytes.subarray(0, POINT_HEADER_BYTES);
  const input = new ByteReader(header, object);
  if (!input.raw(MAGIC.length).equals(MAGIC)) throw new DamagedObjectError(object, "it is no recovery point");
  const version = input.u16();
  if (version !== FORMAT_VERSION) throw new UnsupportedFormatError(object, version);
  input.zeros(6);
  const salt = input.raw(SALT_BYTES);
  if (bytes.length < POINT_HEADER_BYTES + TAG_BYTES) throw new DamagedObjectError(object, "it is cut short");
  const decipher = createDecipheriv("aes-256-gcm", derivePointKey(expected.dataKey, salt), POINT_NONCE);
  decipher.setAAD(additional(header, expected));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  try {
    const json = Buffer.concat([
      decipher.update(bytes.subarray(POINT_HEADER_BYTES, bytes.length - TAG_BYTES)),
      decipher.final(),
    ]);
    return Point.parse(JSON.parse(json.toString()));
  } catch (cause) {
    throw new DamagedObjectError(object, "it fails authentication", { cause });
  }
}

function additional(header: Buffer, { sourceId, pointId }: { sourceId: string; pointId: string }): Buffer {
  return Buffer.concat([header, Buffer.from(`${sourceId}/${pointId}`)]);
}

export function toMapRoot(ref: BlobRef): MapRoot {
  const { number, offset, sealedBytes } = ref;
  return {
    pack: ref.pack.name.toString("hex"),
    salt: ref.pack.salt.toString("hex"),
    number,
    offset,
    sealedBytes,
  };
}

export function fromMapRoot(root: MapRoot): BlobRef {
  const { number, offset, sealedBytes } = root;
  return {
    pack: { name: Buffer.from(root.pack, "hex"), salt: Buffer.from(root.salt, "hex") },
    number,
    offset,
    sealedBytes,
  };
}
