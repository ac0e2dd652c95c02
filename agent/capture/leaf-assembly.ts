import { type Extent, normalize, subtract } from "#shared/domain/extents.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import {
  type BadRange,
  type BlobRef,
  type BlockRef,
  type Leaf,
  leafHash,
  type PackRef,
} from "#shared/format/map-node.ts";
import { encodeLeafOn } from "#shared/format/map-patch.ts";
import { FAN_OUT } from "#shared/format/tree.ts";
import type { MappedLeaf } from "../repository/map-reader.ts";
import type { JournalLeaf } from "./journal.ts";
import type { NewNode } from "./map-builder.ts";
import { OUTCOME, type SharedMemory, type StoredBlock } from "./shared-memory.ts";

/**
 * Collects the outcome of each block of one leaf until all its reads are done. A block that no read covers
 * stays as it was in the previous map, also if it could not be read then.
 */
export class LeafAssembly {
  readonly index: number;
  readonly #previous: MappedLeaf;
  readonly #blocks: ({ id: Buffer; stored: StoredBlock } | "same" | undefined)[];
  readonly #badRanges: BadRange[];
  #readsLeft: number;

  constructor(index: number, reads: readonly Extent[], previous: MappedLeaf) {
    this.index = index;
    this.#previous = previous;
    this.#readsLeft = reads.length;
    this.#badRanges = badOutside(reads, index * LEAF_BYTES, previous.leaf?.badRanges ?? []);
    this.#blocks = Array.from({ length: FAN_OUT }, (_, slot) =>
      previous.leaf?.blocks[slot] ? "same" : undefined,
    );
  }

  /**
   * The ids that a read's blocks had before, zero ids for zeros; `undefined` if there is nothing to compare
   * with.
   */
  previousId(slot: number): Buffer | undefined {
    return this.#previous.leaf?.blocks[slot]?.id;
  }

  get hasPrevious(): boolean {
    return this.#previous.leaf !== undefined;
  }

  /** Takes a read's results from shared memory; `firstSlot` is the leaf's block at which the read starts. */
  take(memory: SharedMemory, slot: number, firstSlot: number, blocks: number): void {
    for (let block = 0; block < blocks; block++) {
      const outcome = memory.outcome(slot, block);
      const stored = outcome === OUTCOME.stored ? memory.result(slot, block) : undefined;
      this.#blocks[firstSlot + block] = outcome === OUTCOME.same ? "same" : stored;
    }
  }

  addBadRanges(ranges: BadRange[]): void {
    this.#badRanges.push(...ranges);
  }

  /** Counts a read as done, even one that was skipped; returns true if it was the last. */
  finishRead(): boolean {
    this.#readsLeft -= 1;
    return this.#readsLeft === 0;
  }

  /** This capture's packs that must be durable before the leaf can be used. */
  packs(): Set<number> {
    const packs = new Set<number>();
    for (const block of this.#blocks) if (block && block !== "same") packs.add(block.stored.pack);
    return packs;
  }

  /** The finished leaf. `packOf` names a pack of this capture. */
  build(packOf: (pack: number) => PackRef): { node: NewNode; record: JournalLeaf } {
    const before = this.#previous.leaf;
    const blocks = Array.from({ length: FAN_OUT }, (_, slot): BlockRef | undefined => {
      const block = this.#blocks[slot];
      if (block === "same") return before?.blocks[slot];
      if (!block) return undefined;
      const { pack, at, ...position } = block.stored;
      return { unit: { pack: packOf(pack), ...position }, at, id: block.id };
    });
    const badRanges = this.#badRanges.toSorted((a, b) => a.offset - b.offset);
    const counts = {
      index: this.index,
      usedBlocks: blocks.filter(Boolean).length,
      changedBlocks: this.#blocks.filter(
        (block, slot) => block !== "same" && (block ?? before?.blocks[slot]) !== undefined,
      ).length,
      badRanges: badRanges.length,
      badBytes: badRanges.reduce((sum, { bytes }) => sum + bytes, 0),
    };
    const leaf: Leaf = { index: this.index, blocks, badRanges };
    if (before && this.#previous.child && this.#isUnchanged(before, badRanges)) {
      const node = keptNode(before, this.#previous.child);
      return { node, record: { ...counts, kind: "kept", bytes: Buffer.alloc(0) } };
    }
    if (counts.usedBlocks === 0 && badRanges.length === 0) {
      const kept = before === undefined;
      return { node: { kind: "zero", kept }, record: { ...counts, kind: "zero", bytes: Buffer.alloc(0) } };
    }
    const { whole, stored } = encodeLeafOn(leaf, this.#previous.base);
    return {
      node: { kind: "new", bytes: stored, hash: leafHash(leaf) },
      record: { ...counts, kind: "new", bytes: whole },
    };
  }

  #isUnchanged(before: Leaf, badRanges: BadRange[]): boolean {
    return (
      before.blocks.every((block, slot) => (this.#blocks[slot] === "same") === (block !== undefined)) &&
      this.#blocks.every((block) => block === "same" || block === undefined) &&
      JSON.stringify(badRanges) === JSON.stringify(before.badRanges)
    );
  }
}

/** The parts of bad ranges, which count from `start`, that none of these reads covers. */
function badOutside(reads: readonly Extent[], start: number, badRanges: readonly BadRange[]): BadRange[] {
  const covered = normalize(reads);
  return badRanges.flatMap(({ offset, bytes }) =>
    subtract([{ offset: start + offset, length: bytes }], covered).map((left) => ({
      offset: left.offset - start,
      bytes: left.length,
    })),
  );
}

/** The previous map's leaf, used again. */
export function keptNode(leaf: Leaf, blob: BlobRef): NewNode {
  return { kind: "kept", ref: { blob, hash: leafHash(leaf) } };
}

export const LEAF_BYTES: number = FAN_OUT * BLOCK_BYTES;
