import { CausewayError } from "#shared/errors.ts";
import { BLOCK_BYTES, BlockNamer, blockCount, ID_BYTES, isZero, ZERO_ID } from "#shared/format/block.ts";
import { deriveBlockIdKey } from "#shared/format/keys.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import { DiskHasher, FAN_OUT } from "#shared/format/tree.ts";
import type { ProgressMeter } from "../progress/progress-meter.ts";
import { MapReader } from "../repository/map-reader.ts";
import type { Repository } from "../repository/repository.ts";

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

const READ_BYTES = 16 * BLOCK_BYTES;
const READS_AHEAD = 4;
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
  const ids = Buffer.alloc(FAN_OUT * ID_BYTES);
  const differing: number[] = [];
  let differingBlocks = 0;
  const reads = readAhead(reader, disk.sizeBytes);
  for (let index = 0; index < map.leafCount; index++) {
    signal?.throwIfAborted();
    const { leaf } = await map.leaf(index);
    ids.fill(0);
    const first = index * FAN_OUT;
    const blocks = Math.min(FAN_OUT, blockCount(disk.sizeBytes) - first);
    for (let slot = 0; slot < blocks; slot += READ_BYTES / BLOCK_BYTES) {
      const next = await reads.next();
      if (next.done) throw new RangeError("the disk ended early");
      for (let at = 0; at < next.value.length; at += BLOCK_BYTES) {
        const place = slot + at / BLOCK_BYTES;
        const id = idOf(next.value.subarray(at, at + BLOCK_BYTES), namer);
        ids.set(id, place * ID_BYTES);
        if (id.equals(leaf?.blocks[place]?.id ?? ZERO_ID)) continue;
        differingBlocks += 1;
        if (differing.length < LISTED_OFFSETS) differing.push((first + place) * BLOCK_BYTES);
      }
    }
    hasher.addLeaf(ids);
    meter?.add(Math.min(disk.sizeBytes - first * BLOCK_BYTES, blocks * BLOCK_BYTES));
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

function idOf(bytes: Buffer, namer: BlockNamer): Buffer {
  if (isZero(bytes)) return ZERO_ID;
  if (bytes.length === BLOCK_BYTES) return namer.idOf(bytes);
  const padded = Buffer.alloc(BLOCK_BYTES);
  bytes.copy(padded);
  return namer.idOf(padded);
}

/**
 * Yields the disk from start to end, while further reads are in progress. What it yields is valid until the
 * next call: the same few buffers serve the whole disk.
 */
async function* readAhead(reader: WrittenDiskReader, sizeBytes: number): AsyncGenerator<Buffer, void> {
  const reads: Promise<Uint8Array>[] = [];
  const buffers = Array.from({ length: READS_AHEAD + 1 }, () => Buffer.allocUnsafeSlow(READ_BYTES));
  let offset = 0;
  try {
    while (offset < sizeBytes || reads.length > 0) {
      while (offset < sizeBytes && reads.length < READS_AHEAD) {
        const length = Math.min(READ_BYTES, sizeBytes - offset);
        const into = buffers[(offset / READ_BYTES) % buffers.length];
        const read = reader.read(offset, length, into?.subarray(0, length));
        // Each is awaited in turn; one that fails before its turn must not end the process.
        read.catch(() => undefined);
        reads.push(read);
        offset += length;
      }
      const bytes = await reads.shift();
      if (bytes) yield Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
  } finally {
    await Promise.allSettled(reads);
  }
}
