import type { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES, BlockNamer, blockCount, isZero, ZERO_ID } from "#shared/format/block.ts";
import { deriveBlockIdKey } from "#shared/format/keys.ts";
import type { BadRange } from "#shared/format/map-node.ts";
import { FAN_OUT } from "#shared/format/tree.ts";
import type { DiskSource } from "../disk/disk-source.ts";
import { ResilientDiskReader } from "../disk/resilient-reader.ts";
import type { MapReader } from "../repository/map-reader.ts";
import { allocatePages, PAGE_BYTES } from "../threads/page-memory.ts";

/** How much of what is called unchanged is read to see whether that is true. */
export interface SampleSettings {
  /** Each block's chance to be in the sample, from 0 to 1. */
  fraction: number;
  /** The sample has at most this many bytes; on a larger disk each block's chance is lower. */
  maxBytes: number;
}

export interface SampleResult {
  blocks: number;
  bytesRead: number;
  /** Positions of those that differ from the parent's, although they are not in `changed`. */
  differing: number[];
}

interface Claim {
  sizeBytes: number;
  used: BlockSet;
  changed: BlockSet;
}

/**
 * Reads a random sample of the used blocks that are not in `changed`, and compares each with the parent's
 * map. Blocks that cannot be read, now or then, say nothing. `random` returns numbers from 0 to below 1.
 */
export async function checkSample(options: {
  claim: Claim;
  disk: DiskSource;
  parent: MapReader;
  dataKey: Uint8Array;
  settings: SampleSettings & { maxBadBytes: number };
  random: () => number;
  signal?: AbortSignal | undefined;
}): Promise<SampleResult> {
  const { claim, disk, parent, settings, random, signal } = options;
  const namer = new BlockNamer(deriveBlockIdKey(options.dataKey));
  const reader = new ResilientDiskReader(disk, settings);
  const buffer = Buffer.from(allocatePages(BLOCK_BYTES / PAGE_BYTES), 0, BLOCK_BYTES);
  const blocks = chooseSample(claim, settings, random);
  const differing: number[] = [];
  for (const [index, slots] of byLeaf(blocks)) {
    const { leaf } = await parent.leaf(index);
    for (const slot of slots) {
      signal?.throwIfAborted();
      if (leaf?.badRanges.some((range) => touches(range, slot))) continue;
      const offset = (index * FAN_OUT + slot) * BLOCK_BYTES;
      const bad = await reader.read(offset, Math.min(BLOCK_BYTES, disk.sizeBytes - offset), buffer.fill(0));
      if (bad.length > 0) continue;
      const id = isZero(buffer) ? ZERO_ID : namer.idOf(buffer);
      if (!id.equals(leaf?.blocks[slot]?.id ?? ZERO_ID)) differing.push(index * FAN_OUT + slot);
    }
  }
  return { blocks: blocks.length, bytesRead: reader.bytesRead, differing };
}

/** The blocks of the sample, in ascending order; each of the claim's unchanged blocks has the same chance. */
export function chooseSample(
  { sizeBytes, used, changed }: Claim,
  { fraction, maxBytes }: SampleSettings,
  random: () => number,
): number[] {
  const most = Math.floor(maxBytes / BLOCK_BYTES);
  const chance = Math.min(fraction, (most * BLOCK_BYTES) / Math.max(1, used.bytesWithin(0, sizeBytes)));
  if (chance <= 0) return [];
  const chosen: number[] = [];
  const count = blockCount(sizeBytes);
  const has = (set: BlockSet, block: number) => set.bytesWithin(block * BLOCK_BYTES, 1) > 0;
  for (let block = gap(chance, random()); block < count; block += 1 + gap(chance, random())) {
    if (has(used, block) && !has(changed, block)) chosen.push(block);
  }
  while (chosen.length > most) chosen.splice(Math.floor(random() * chosen.length), 1);
  return chosen;
}

/** How many blocks are passed over before the next one is chosen: geometrically distributed. */
function gap(chance: number, random: number): number {
  return chance >= 1 ? 0 : Math.floor(Math.log1p(-random) / Math.log1p(-chance));
}

function byLeaf(blocks: readonly number[]): Map<number, number[]> {
  const leaves = new Map<number, number[]>();
  for (const block of blocks) {
    const index = Math.floor(block / FAN_OUT);
    const slots = leaves.get(index);
    if (slots) slots.push(block % FAN_OUT);
    else leaves.set(index, [block % FAN_OUT]);
  }
  return leaves;
}

function touches({ offset, bytes }: BadRange, slot: number): boolean {
  return offset < (slot + 1) * BLOCK_BYTES && offset + bytes > slot * BLOCK_BYTES;
}
