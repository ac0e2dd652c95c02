import { hash } from "node:crypto";
import { blockCount, ID_BYTES, ZERO_ID } from "./block.ts";

export const HASH_BYTES = ID_BYTES;
/** Blocks per leaf and children per inner node: each leaf describes 16 MiB of the disk. */
export const FAN_OUT = 256;

/**
 * The hash of a tree node over its 256 children: block ids for a leaf (`level` 0), node hashes above. 256
 * zero children make a zero hash, so that empty parts of a disk cost nothing at any level.
 */
export function nodeHash(level: number, children: Buffer): Buffer {
  if (children.length !== FAN_OUT * HASH_BYTES) throw new RangeError("a node has 256 children");
  if (children.equals(NO_CHILDREN)) return ZERO_ID;
  return hash("sha256", Buffer.concat([Buffer.from(`causeway/1/node/${level}\0`), children]), "buffer");
}
const NO_CHILDREN = Buffer.alloc(FAN_OUT * HASH_BYTES);

/** The hash that stands for a whole disk: its size and its tree's top node. */
export function diskHash(sizeBytes: number, top: Uint8Array): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(sizeBytes));
  return hash("sha256", Buffer.concat([Buffer.from("causeway/1/disk\0"), size, top]), "buffer");
}

/** How many leaves the map of a disk of this size has; at least one. */
export function leafCount(sizeBytes: number): number {
  return Math.max(1, Math.ceil(blockCount(sizeBytes) / FAN_OUT));
}

/** The level of the top node: 0 if one leaf describes the whole disk. */
export function topLevel(sizeBytes: number): number {
  let level = 0;
  for (let nodes = leafCount(sizeBytes); nodes > 1; nodes = Math.ceil(nodes / FAN_OUT)) level += 1;
  return level;
}

/** How many nodes there are at a level. */
export function nodeCount(sizeBytes: number, level: number): number {
  let nodes = leafCount(sizeBytes);
  for (let below = 0; below < level; below++) nodes = Math.ceil(nodes / FAN_OUT);
  return nodes;
}

/**
 * Computes a disk's hash from block ids alone, given leaf by leaf in order. A target uses it to check a
 * written disk against a recovery point without reading the repository. Memory: 8 KiB per level.
 */
export class DiskHasher {
  readonly #sizeBytes: number;
  readonly #levels: { children: Buffer; count: number }[];

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
    this.#levels = Array.from({ length: topLevel(sizeBytes) }, () => ({
      children: Buffer.alloc(FAN_OUT * HASH_BYTES),
      count: 0,
    }));
  }

  #top: Buffer | undefined;

  /**
   * Takes the ids of the next leaf's 256 blocks, zero ids for zero blocks and for those beyond the disk's
   * end.
   */
  addLeaf(ids: Buffer): void {
    this.#addHash(0, nodeHash(0, ids));
  }

  /** The disk's hash, once all leaves are in. */
  finish(): Buffer {
    for (let level = 1; level <= this.#levels.length; level++)
      if (this.#levels[level - 1]?.count) this.#close(level);
    if (!this.#top) throw new RangeError("no leaf was added");
    return diskHash(this.#sizeBytes, this.#top);
  }

  #addHash(level: number, value: Buffer): void {
    const above = this.#levels[level];
    if (!above) {
      this.#top = value;
      return;
    }
    above.children.set(value, above.count * HASH_BYTES);
    above.count += 1;
    if (above.count === FAN_OUT) this.#close(level + 1);
  }

  #close(level: number): void {
    const node = this.#levels[level - 1];
    if (!node) return;
    const value = nodeHash(level, node.children);
    node.children.fill(0);
    node.count = 0;
    this.#addHash(level, value);
  }
}
