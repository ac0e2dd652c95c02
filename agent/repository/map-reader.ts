import { DamagedObjectError } from "#shared/format/errors.ts";
import { MapBlobOpener } from "#shared/format/map-blob-opener.ts";
import {
  type BlobRef,
  type ChildRef,
  decodeInnerNode,
  decodeLeaf,
  type InnerNode,
  type Leaf,
} from "#shared/format/map-node.ts";
import { fromMapRoot, type PointDisk } from "#shared/format/point.ts";
import { FAN_OUT, leafCount, topLevel } from "#shared/format/tree.ts";
import { ObjectNotFoundError } from "../store/object-store.ts";
import { planSpans, type Repository, type Span } from "./repository.ts";

/**
 * A leaf as its parent refers to it, and its content. Both are absent for a part of the disk that is all
 * zeros.
 */
export interface MappedLeaf {
  child?: BlobRef;
  leaf?: Leaf;
}

/** A leaf and its position in the repository. */
export interface PlacedLeaf {
  index: number;
  ref: BlobRef;
}

const READS_AT_ONCE = 4;
const BATCH_LEAVES = 64;
const BATCH_BYTES = 1024 * 1024;

/**
 * Reads a disk map from the repository, leaf by leaf. Made for rising indexes: it reads leaves ahead in
 * batches, and keeps only the inner nodes on the path to the last leaf, so its memory does not grow with the
 * disk. One call at a time.
 */
export class MapReader {
  readonly leafCount: number;
  readonly #repository: Repository;
  readonly #root: BlobRef | undefined;
  readonly topLevel: number;
  readonly #path: (InnerNode | undefined)[] = [];
  readonly #batch = new Map<number, Buffer>();
  readonly #blobs: MapBlobOpener;

  constructor(repository: Repository, disk: Pick<PointDisk, "sizeBytes" | "root">) {
    this.#repository = repository;
    this.#blobs = new MapBlobOpener(repository);
    this.#root = disk.root ? fromMapRoot(disk.root) : undefined;
    this.topLevel = topLevel(disk.sizeBytes);
    this.leafCount = leafCount(disk.sizeBytes);
  }

  async leaf(index: number): Promise<MappedLeaf> {
    const child = await this.refOf(0, index);
    if (!child) return {};
    if (!this.#batch.has(index)) await this.#readBatch(index);
    const bytes = this.#batch.get(index);
    if (!bytes) throw new RangeError(`leaf ${index} was not read`);
    return { child, leaf: decodeLeaf(bytes, index, this.#blobs.objectOf(child)) };
  }

  /** Leaves that may be far apart: reads these only. */
  async leaves(wanted: readonly PlacedLeaf[]): Promise<Map<number, Leaf>> {
    const packs = Map.groupBy(wanted, ({ ref }) => this.#blobs.objectOf(ref));
    const spans = [...packs.values()].flatMap((of) => planSpans(of, ({ ref }) => ref, BATCH_BYTES));
    const leaves = new Map<number, Leaf>();
    for (let at = 0; at < spans.length; at += READS_AT_ONCE) {
      const reads = spans.slice(at, at + READS_AT_ONCE).map((span) => this.#readSpan(span));
      for (const { index, ref, bytes } of (await Promise.all(reads)).flat())
        leaves.set(index, decodeLeaf(bytes, index, this.#blobs.objectOf(ref)));
    }
    return leaves;
  }

  /** The position of the node at a level and index; `undefined` if it stands for zeros only. */
  async refOf(level: number, index: number): Promise<BlobRef | undefined> {
    return level === this.topLevel ? this.#root : (await this.childOf(level, index))?.blob;
  }

  /** A node below the top, as its parent refers to it; `undefined` if it stands for zeros only. */
  async childOf(level: number, index: number): Promise<ChildRef | undefined> {
    const parent = await this.node(level + 1, Math.floor(index / FAN_OUT));
    return parent?.children[index % FAN_OUT];
  }

  /** The inner node at a level, from 1, and index. */
  async node(level: number, index: number): Promise<InnerNode | undefined> {
    const known = this.#path[level];
    if (known?.index === index) return known;
    const ref = await this.refOf(level, index);
    if (!ref) return undefined;
    const node = decodeInnerNode(await this.#readBlob(ref), level, index, this.#blobs.objectOf(ref));
    this.#path[level] = node;
    return node;
  }

  /** Reads this leaf and those after it that are stored near it. */
  async #readBatch(index: number): Promise<void> {
    this.#batch.clear();
    const first = await this.refOf(0, index);
    if (!first) return;
    if (this.topLevel === 0) {
      this.#batch.set(index, await this.#readBlob(first));
      return;
    }
    const node = await this.node(1, Math.floor(index / FAN_OUT));
    const wanted = (node?.children ?? [])
      .map((child, slot) => ({ ref: child?.blob, index: (node?.index ?? 0) * FAN_OUT + slot }))
      .filter((each): each is PlacedLeaf => each.ref !== undefined && each.index >= index)
      .filter(({ ref }) => ref.pack.name.equals(first.pack.name))
      .slice(0, BATCH_LEAVES);
    const spans = planSpans(wanted, ({ ref }) => ref, BATCH_BYTES);
    const span = spans.find(({ items }) => items.some((item) => item.index === index));
    if (!span) return;
    for (const { index: at, bytes } of await this.#readSpan(span)) this.#batch.set(at, bytes);
  }

  /** Opens the leaves of a span, all of one pack. */
  async #readSpan({ offset, bytes, items }: Span<PlacedLeaf>): Promise<(PlacedLeaf & { bytes: Buffer })[]> {
    const [first] = items;
    if (!first) return [];
    const sealed = await this.#readRange(first.ref, offset, bytes);
    return items.map(({ index, ref }) => {
      const start = ref.offset - offset;
      return { index, ref, bytes: this.#blobs.open(ref, sealed.subarray(start, start + ref.sealedBytes)) };
    });
  }

  async #readBlob(ref: BlobRef): Promise<Buffer> {
    return this.#blobs.open(ref, await this.#readRange(ref, ref.offset, ref.sealedBytes));
  }

  async #readRange(ref: BlobRef, offset: number, bytes: number): Promise<Buffer> {
    const name = this.#blobs.objectOf(ref);
    try {
      return await this.#repository.store.get(name, { range: { offset, bytes } });
    } catch (error) {
      if (error instanceof ObjectNotFoundError)
        throw new DamagedObjectError(name, "it is missing", { cause: error });
      throw error;
    }
  }
}
