import { ZERO_ID } from "#shared/format/block.ts";
import { DamagedObjectError } from "#shared/format/errors.ts";
import { type BlobRef, type InnerNode, innerHash, type Leaf, leafHash } from "#shared/format/map-node.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import { diskHash, FAN_OUT, nodeCount } from "#shared/format/tree.ts";
import { MapReader } from "./map-reader.ts";
import type { Repository } from "./repository.ts";

/** A node as its parent refers to it. */
export interface MapEntry {
  hash: Buffer;
  /** Absent if it stands for zeros only. */
  ref?: BlobRef | undefined;
}
const ZEROS: MapEntry = { hash: ZERO_ID };

/**
 * A disk map whose nodes are checked: each against the hash that its parent has of it, the top node against
 * the content hash of the disk. So equal hashes in two such maps mean equal content. Made for rising indexes,
 * like `MapReader`; one call at a time. Throws `DamagedObjectError` for a node that is not the right one.
 */
export class VerifiedMap {
  readonly disk: MappedDisk;
  readonly #reader: MapReader;
  /** The last node that was checked at each level. */
  readonly #checked: (InnerNode | undefined)[] = [];
  #top: MapEntry | undefined;

  constructor(repository: Repository, disk: MappedDisk) {
    this.disk = disk;
    this.#reader = new MapReader(repository, disk);
  }

  get leafCount(): number {
    return this.#reader.leafCount;
  }

  get topLevel(): number {
    return this.#reader.topLevel;
  }

  /**
   * The node at a level and index. Zeros beyond the disk's end. `undefined` above the top level, where the
   * disk is only the first part of what a node would describe.
   */
  async entryOf(level: number, index: number): Promise<MapEntry | undefined> {
    if (level > this.topLevel) return index === 0 ? undefined : ZEROS;
    if (level === this.topLevel) return index === 0 ? this.#topEntry() : ZEROS;
    if (index >= nodeCount(this.disk.sizeBytes, level)) return ZEROS;
    const parent = await this.#node(level + 1, Math.floor(index / FAN_OUT));
    const child = parent?.children[index % FAN_OUT];
    return child ? { hash: child.hash, ref: child.blob } : ZEROS;
  }

  /** The leaves of these entries, except those that stand for zeros. They may be far apart. */
  async leaves(wanted: readonly { index: number; entry: MapEntry }[]): Promise<Map<number, Leaf>> {
    const placed = wanted.flatMap(({ index, entry: { ref } }) => (ref ? [{ index, ref }] : []));
    const leaves = await this.#reader.leaves(placed);
    for (const { index, entry } of wanted)
      if (!leafHash(leaves.get(index)).equals(entry.hash)) throw this.#wrong(0);
    return leaves;
  }

  async #node(level: number, index: number): Promise<InnerNode | undefined> {
    const entry = await this.entryOf(level, index);
    const node = await this.#reader.node(level, index);
    if (node === this.#checked[level]) return node;
    if (!innerHash(node, level).equals((entry ?? ZEROS).hash)) throw this.#wrong(level);
    this.#checked[level] = node;
    return node;
  }

  async #topEntry(): Promise<MapEntry> {
    if (this.#top) return this.#top;
    const { topLevel } = this;
    const ref = await this.#reader.refOf(topLevel, 0);
    const hash =
      topLevel > 0
        ? innerHash(await this.#reader.node(topLevel, 0), topLevel)
        : leafHash(ref && (await this.#reader.leaves([{ index: 0, ref }])).get(0));
    if (diskHash(this.disk.sizeBytes, hash).toString("hex") !== this.disk.contentHash)
      throw this.#wrong(topLevel);
    this.#top = { hash, ref };
    return this.#top;
  }

  #wrong(level: number): DamagedObjectError {
    const why = `a node of level ${level} is not the one that the recovery point has sealed`;
    return new DamagedObjectError(`the map of ${this.disk.name}`, why);
  }
}
