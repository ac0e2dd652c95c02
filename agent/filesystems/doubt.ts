import type { DiskReader } from "../disk/reader.ts";

/**
 * A volume's metadata is not as it must be for its free space to be trusted. Never leaves this folder: the
 * volume then counts as fully used, with this message as the reason.
 */
export class DoubtError extends Error {
  override readonly name = "DoubtError";
}

/** Why a part of a disk is copied whole although some of its free space could have been left out. */
export interface Doubt {
  /** `disk`, `partition 2`, or the logical volume `partition 2/root`. */
  place: string;
  reason: string;
}

export function doubt(reason: string): never {
  throw new DoubtError(reason);
}

/**
 * The content is recognised, and all of it counts as used because its free space is not evaluated here. This
 * is not a doubt.
 */
export class NotEvaluatedError extends Error {
  override readonly name = "NotEvaluatedError";
}

/** Nothing that describes a volume is larger; a damaged length must not make us allocate gigabytes. */
const METADATA_LIMIT_BYTES = 64 * 2 ** 20;

/** Metadata bytes as a `Buffer`; throws `DoubtError` if they are outside the volume. */
export async function readMetadata(reader: DiskReader, offset: number, length: number): Promise<Buffer> {
  if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || offset + length > reader.sizeBytes) {
    doubt("metadata points outside the volume");
  }
  if (length > METADATA_LIMIT_BYTES) doubt("metadata is implausibly large");
  const bytes = await reader.read(offset, length);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** A 64-bit field as a number; throws `DoubtError` if it exceeds what a disk can address. */
export function toNumber(value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER))
    doubt("a number in the metadata is out of range");
  return Number(value);
}
