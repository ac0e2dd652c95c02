import type { BlockSet } from "#shared/domain/block-set.ts";
import { type Extent, type Extents, intersect, normalize, totalBytes } from "#shared/domain/extents.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { Leaf } from "#shared/format/map-node.ts";
import { LEAF_BYTES } from "./leaf-assembly.ts";
import { READ_BYTES } from "./shared-memory.ts";

/** One read of a leaf: whole blocks, except at the end of the disk, and at most `READ_BYTES`. */
export interface LeafRead extends Extent {
  /** What of it is read; the rest counts as zeros. */
  parts: Extents;
}

/**
 * The reads of one leaf: the whole leaf or, if it is known which blocks may have changed, those, and unless
 * the source `isPartial`, the blocks that could not be read before. `used` is what of the leaf must be
 * copied.
 */
export function readsOfLeaf(leaf: {
  index: number;
  sizeBytes: number;
  used: Extents;
  changed: BlockSet | undefined;
  isPartial: boolean;
  before: Leaf | undefined;
}): LeafRead[] {
  const start = leaf.index * LEAF_BYTES;
  const length = Math.min(LEAF_BYTES, leaf.sizeBytes - start);
  const wanted = leaf.changed
    ? normalize([
        ...leaf.changed.within(start, length),
        ...(leaf.isPartial ? [] : unreadBlocks(start, length, leaf.before)),
      ])
    : [{ offset: start, length }];
  return wanted.flatMap(inReads).map((read) => ({ ...read, parts: intersect(leaf.used, [read]) }));
}

/** The bytes that these reads read. */
export function bytesOf(reads: readonly LeafRead[]): number {
  return reads.reduce((sum, { parts }) => sum + totalBytes(parts), 0);
}

function unreadBlocks(start: number, length: number, before: Leaf | undefined): Extent[] {
  return (before?.badRanges ?? []).map((bad) => {
    const first = Math.floor(bad.offset / BLOCK_BYTES) * BLOCK_BYTES;
    const end = Math.ceil((bad.offset + bad.bytes) / BLOCK_BYTES) * BLOCK_BYTES;
    return { offset: start + first, length: Math.min(end, length) - first };
  });
}

function inReads({ offset, length }: Extent): Extent[] {
  return Array.from({ length: Math.ceil(length / READ_BYTES) }, (_, at) => ({
    offset: offset + at * READ_BYTES,
    length: Math.min(READ_BYTES, length - at * READ_BYTES),
  }));
}
