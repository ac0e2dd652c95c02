import { BLOCK_BYTES, type BlockNamer, ID_BYTES, isZero, ZERO_ID } from "#shared/format/block.ts";
import { FAN_OUT } from "#shared/format/tree.ts";
import type { DiskReader } from "../disk/reader.ts";

/** The ids of a leaf's 256 blocks, as a written disk has them: zero ids for zeros and beyond its end. */
export interface LeafIds {
  index: number;
  /** Valid until the next leaf is asked for. */
  ids: Buffer;
  /** How much of the disk they describe. */
  bytes: number;
}

const LEAF_BYTES = FAN_OUT * BLOCK_BYTES;
const READ_BYTES = 16 * BLOCK_BYTES;
const READS_AHEAD = 4;

/** Reads leaves of a written disk, by rising index, and names their blocks; further reads are in progress. */
export async function* leafIds(
  reader: DiskReader,
  namer: BlockNamer,
  indexes: Iterable<number>,
): AsyncGenerator<LeafIds, void> {
  const ids = Buffer.alloc(FAN_OUT * ID_BYTES);
  const reads = readAhead(reader, indexes);
  for await (const { index, at, bytes, last } of reads) {
    if (at === 0) ids.fill(0);
    for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
      const id = idOf(bytes.subarray(from, from + BLOCK_BYTES), namer);
      ids.set(id, ((at + from) / BLOCK_BYTES) * ID_BYTES);
    }
    if (last) yield { index, ids, bytes: at + bytes.length };
  }
}

function idOf(bytes: Buffer, namer: BlockNamer): Buffer {
  if (isZero(bytes)) return ZERO_ID;
  if (bytes.length === BLOCK_BYTES) return namer.idOf(bytes);
  const padded = Buffer.alloc(BLOCK_BYTES);
  bytes.copy(padded);
  return namer.idOf(padded);
}

/** A part of a leaf: `at` bytes from the leaf's start. */
interface LeafRead {
  index: number;
  at: number;
  length: number;
  last: boolean;
}

function* readsOf(sizeBytes: number, indexes: Iterable<number>): Generator<LeafRead, void> {
  for (const index of indexes) {
    const bytes = Math.min(LEAF_BYTES, sizeBytes - index * LEAF_BYTES);
    let at = 0;
    do {
      const length = Math.min(READ_BYTES, bytes - at);
      yield { index, at, length, last: at + length === bytes };
      at += length;
    } while (at < bytes);
  }
}

/**
 * Yields what it reads in order. What it yields is valid until the next call: the same few buffers serve the
 * whole disk.
 */
async function* readAhead(
  reader: DiskReader,
  indexes: Iterable<number>,
): AsyncGenerator<LeafRead & { bytes: Buffer }, void> {
  const wanted = readsOf(reader.sizeBytes, indexes);
  const reads: { read: LeafRead; bytes: Promise<Uint8Array> }[] = [];
  const buffers = Array.from({ length: READS_AHEAD + 1 }, () => Buffer.allocUnsafeSlow(READ_BYTES));
  let begun = 0;
  const begin = () => {
    const next = wanted.next();
    if (next.done) return;
    const { index, at, length } = next.value;
    const into = buffers[begun++ % buffers.length]?.subarray(0, length);
    const bytes = reader.read(index * LEAF_BYTES + at, length, into);
    // Each is awaited in turn; one that fails before its turn must not end the process.
    bytes.catch(() => undefined);
    reads.push({ read: next.value, bytes });
  };
  try {
    for (let ahead = 0; ahead < READS_AHEAD; ahead++) begin();
    for (let next = reads.shift(); next; next = reads.shift()) {
      const bytes = await next.bytes;
      begin();
      yield { ...next.read, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
    }
  } finally {
    await Promise.allSettled(reads.map(({ bytes }) => bytes));
  }
}
