import { CausewayError } from "#shared/errors.ts";
import { BLOCK_BYTES, BlockNamer, ID_BYTES, ZERO_ID } from "#shared/format/block.ts";
import { deriveBlockIdKey } from "#shared/format/keys.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import { DiskHasher, FAN_OUT } from "#shared/format/tree.ts";
import type { ProgressMeter } from "../progress/progress-meter.ts";
import { MapReader } from "../repository/map-reader.ts";
import type { Repository } from "../repository/repository.ts";
import { leafIds } from "./leaf-ids.ts";

/** A written disk as verification reads it. */
export interface WrittenDiskReader {
  readonly sizeBytes: number;
  /** Exactly `length` bytes; a reader may put them into `into`, which has that length. */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** A written disk does not match the recovery point. */
export class DiskMismatchError extends CausewayError {
  override readonly name = "DiskMismatchError";
  readonly retryable = true;
  readonly hint = "Write the disk again. If this repeats, check the target's storage, then the repository.";
  /** The offsets of the first differing blocks in bytes; none if only the size differs. */
  readonly offsets: readonly number[];
  constructor(message: string, offsets: readonly number[]) {
    super(message);
    this.offsets = offsets;
  }
}

export interface VerifyOptions {
  repository: Repository;
  disk: MappedDisk;
  reader: WrittenDiskReader;
  meter?: ProgressMeter;
  signal?: AbortSignal;
}

const LISTED_OFFSETS = 16;

/**
 * Reads all of a written disk and compares each block with the disk map, and the whole with the recovery
 * point's content hash; blocks of zeros must be zeros. Returns the bytes that were verified. Throws
 * `DiskMismatchError`.
 */
export async function verifyDisk({
  repository,
  disk,
  reader,
  meter,
  signal,
}: VerifyOptions): Promise<number> {
  if (reader.sizeBytes !== disk.sizeBytes) {
    throw new DiskMismatchError(`the disk has ${reader.sizeBytes} bytes, not ${disk.sizeBytes}`, []);
  }
  const namer = new BlockNamer(deriveBlockIdKey(repository.dataKey));
  const map = new MapReader(repository, disk);
  const hasher = new DiskHasher(disk.sizeBytes);
  const differing: number[] = [];
  let differingBlocks = 0;
  for await (const { index, ids, bytes } of leafIds(reader, namer, Array(map.leafCount).keys())) {
    signal?.throwIfAborted();
    const { leaf } = await map.leaf(index);
    for (let slot = 0; slot * BLOCK_BYTES < bytes; slot++) {
      const id = ids.subarray(slot * ID_BYTES, (slot + 1) * ID_BYTES);
      if (id.equals(leaf?.blocks[slot]?.id ?? ZERO_ID)) continue;
      differingBlocks += 1;
      if (differing.length < LISTED_OFFSETS) differing.push((index * FAN_OUT + slot) * BLOCK_BYTES);
    }
    hasher.addLeaf(ids);
    meter?.add(bytes);
  }
  if (differingBlocks > 0) {
    throw new DiskMismatchError(
      `${differingBlocks} blocks differ, the first at byte ${differing[0]}`,
      differing,
    );
  }
  // The map was right and complete only if it matches the hash that the recovery point has sealed.
  if (hasher.finish().toString("hex") !== disk.contentHash) {
    throw new DiskMismatchError("the disk's content hash does not match the recovery point", []);
  }
  return disk.sizeBytes;
}
