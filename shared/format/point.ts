import { createCipheriv, createDecipheriv } from "node:crypto";
import * as z from "zod";
import { Consistency, WholeCopies } from "../protocol/copied-disk.ts";
import { DiskBytes, DiskName, disksOf } from "../protocol/ids.ts";
import { MAX_SEALED_BYTES, TAG_BYTES } from "./blob.ts";
import { BLOCK_BYTES, blockCount } from "./block.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { DamagedObjectError, UnsupportedFormatError } from "./errors.ts";
import { derivePointKey, SALT_BYTES } from "./keys.ts";
import type { BlobRef } from "./map-node.ts";

export const POINT_HEADER_BYTES = 32;
const MAGIC = Buffer.from("CSWYPONT");

/** Names of recovery points and source servers: they become parts of object keys. */
export const RepositoryId = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z_-]{0,127}$/);

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/** The position of the top node of a disk's map. */
export const MapRoot = z.strictObject({
  pack: hex(32),
  salt: hex(SALT_BYTES),
  number: z.int().nonnegative(),
  offset: z.int().nonnegative(),
  sealedBytes: z.int().positive().max(MAX_SEALED_BYTES),
});
export type MapRoot = z.infer<typeof MapRoot>;

/**
 * One disk of a recovery point. Its name becomes a part of paths on other machines, and its sizes decide what
 * they write.
 */
const diskFields = {
  name: DiskName,
  sizeBytes: DiskBytes,
  /** Null: the whole disk is zeros. */
  root: MapRoot.nullable(),
  /** The hash that the restored disk must have: its size and its hash tree's top node. */
  contentHash: hex(32),
  /** Bytes in blocks that are not all zeros, each block counted whole. A restore writes at most these. */
  usedBytes: DiskBytes,
  /** Ranges that could not be read and count as zeros, and their bytes. */
  badRanges: z.int().nonnegative(),
  badBytes: DiskBytes,
};

/** A volume of a disk, and the consistency of its copy. */
export const PointVolume = z.strictObject({
  /** `disk`, `partition 2`. */
  name: z.string().min(1).max(160),
  consistency: Consistency,
  /**
   * Volumes with the same number, on any disk of the recovery point, show one instant. Absent if all of the
   * point do.
   */
  instant: z.int().positive().max(100_000).optional(),
});
export type PointVolume = z.infer<typeof PointVolume>;

export const PointDisk = plausible(
  z.strictObject({
    ...diskFields,
    /** The lowest consistency on the disk. */
    consistency: Consistency,
    /** The consistency of single volumes; the rest has the disk's. */
    volumes: z.array(PointVolume).max(128),
    /** The parts that were copied with their free space, and why. */
    wholeCopies: WholeCopies,
  }),
);
export type PointDisk = z.infer<typeof PointDisk>;

/** The map of a disk, without the consistency of its copy. */
export const MappedDisk = plausible(z.strictObject(diskFields));
export type MappedDisk = z.infer<typeof MappedDisk>;

/** A disk as in recovery points of version 1. */
const PointDisk1 = MappedDisk.transform(
  (disk): PointDisk => ({ ...disk, consistency: "unknown", volumes: [], wholeCopies: [] }),
);

export type CopyView = Omit<PointDisk, keyof MappedDisk>;

function plausible<T extends z.ZodType<z.infer<z.ZodObject<typeof diskFields>>>>(disk: T) {
  return disk
    .refine(({ usedBytes, sizeBytes }) => usedBytes <= blockCount(sizeBytes) * BLOCK_BYTES, {
      path: ["usedBytes"],
      message: "more than the disk has",
    })
    .refine(({ badBytes, sizeBytes }) => badBytes <= sizeBytes, {
      path: ["badBytes"],
      message: "more than the disk has",
    })
    .refine(({ root, usedBytes }) => root !== null || usedBytes === 0, {
      path: ["usedBytes"],
      message: "none without a map",
    });
}

/** A recovery point: an immutable, consistent set of disk maps of one source server at one time. */
const pointFields = {
  pointId: RepositoryId,
  sourceId: RepositoryId,
  /** ISO 8601, UTC. */
  createdAt: z.iso.datetime(),
  /** The point whose maps this one builds on. */
  parentId: RepositoryId.nullable(),
  agentVersion: z.string().max(64),
};
export const Point = z.strictObject({ ...pointFields, disks: disksOf(PointDisk) });
export type Point = z.infer<typeof Point>;

/** How each version is read; the last one is written. */
const VERSIONS: Readonly<Record<number, z.ZodType<Point>>> = {
  1: z.strictObject({ ...pointFields, disks: disksOf(PointDisk1) }),
  2: Point,
  // The same fields. The maps may have patches, which a reader of version 2 would take for damage.
  3: Point,
  // Volumes may have an instant, which a reader of version 3 does not know.
  4: Point,
};
export const POINT_VERSION = 4;

export interface PointSeal {
  dataKey: Uint8Array;
  /** Random and never used before. */
  salt: Uint8Array;
}

/** The bytes of a recovery point's object: header, then sealed JSON with its fields in the schema's order. */
export function encodePoint(point: Point, seal: PointSeal): Buffer {
  return sealPoint(point, JSON.stringify(Point.parse(point)), seal);
}

/** Seals any text as the recovery point of these ids. */
export function sealPoint(
  ids: Pick<Point, "sourceId" | "pointId">,
  json: string,
  { dataKey, salt }: PointSeal,
): Buffer {
  const header = new ByteWriter(POINT_HEADER_BYTES)
    .raw(MAGIC)
    .u16(POINT_VERSION)
    .u16(0)
    .u32(0)
    .raw(salt)
    .done();
  const cipher = createCipheriv("aes-256-gcm", derivePointKey(dataKey, salt), POINT_NONCE);
  cipher.setAAD(additional(header, ids));
  return Buffer.concat([header, cipher.update(json, "utf8"), cipher.final(), cipher.getAuthTag()]);
}
const POINT_NONCE = Buffer.alloc(12);

/**
 * Opens a recovery point, which must be the one of these ids. The right seal only proves that its source made
 * it, so its content is checked like any message from another machine. Throws `DamagedObjectError` or
 * `UnsupportedFormatError`.
 */
export function decodePoint(
  bytes: Buffer,
  expected: { dataKey: Uint8Array; sourceId: string; pointId: string },
  object: string,
): Point {
  const header = bytes.subarray(0, POINT_HEADER_BYTES);
  const input = new ByteReader(header, object);
  if (!input.raw(MAGIC.length).equals(MAGIC)) throw new DamagedObjectError(object, "it is no recovery point");
  const version = input.u16();
  const schema = VERSIONS[version];
  if (!schema) throw new UnsupportedFormatError(object, version);
  input.zeros(6);
  const salt = input.raw(SALT_BYTES);
  if (bytes.length < POINT_HEADER_BYTES + TAG_BYTES) throw new DamagedObjectError(object, "it is cut short");
  const decipher = createDecipheriv("aes-256-gcm", derivePointKey(expected.dataKey, salt), POINT_NONCE);
  decipher.setAAD(additional(header, expected));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  let json: string;
  try {
    json = Buffer.concat([
      decipher.update(bytes.subarray(POINT_HEADER_BYTES, bytes.length - TAG_BYTES)),
      decipher.final(),
    ]).toString();
  } catch (cause) {
    throw new DamagedObjectError(object, "it fails authentication", { cause });
  }
  return checkedPoint(json, schema, expected, object);
}

function checkedPoint(
  json: string,
  schema: z.ZodType<Point>,
  { sourceId, pointId }: { sourceId: string; pointId: string },
  object: string,
): Point {
  const point = schema.safeParse(parsedJson(json, object));
  if (!point.success) {
    const where = point.error.issues.slice(0, 5).map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new DamagedObjectError(object, `it says what no recovery point may say: ${where.join("; ")}`);
  }
  if (point.data.sourceId !== sourceId || point.data.pointId !== pointId)
    throw new DamagedObjectError(object, "it says that it is another recovery point");
  return point.data;
}

function parsedJson(text: string, object: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DamagedObjectError(object, "what it says is no JSON", { cause });
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
