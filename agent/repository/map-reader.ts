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
import { decodePatch, patchedInnerNode, patchedLeaf, type WholeNode } from "#shared/format/map-patch.ts";
import { fromMapRoot, type PointDisk } from "#shared/format/point.ts";
import { FAN_OUT, leafCount, topLevel } from "#shared/format/tree.ts";
import { ObjectNotFoundError } from "../store/object-store.ts";
import { planSpans, type Repository, type Span } from "./repository.ts";

/**
 * A leaf as its parent refers to it, its content, and the whole leaf that it is or builds on. All are absent
 * for a part of the disk that is all zeros.
 */
export interface MappedLeaf {
  child?: BlobRef;
  leaf?: Leaf;
  base?: WholeNode<Leaf>;
}

/** An inner node, where it is stored, and the whole node that it is or builds on. */
export interface MappedNode {
  ref: BlobRef;
  node: InnerNode;
  base: WholeNode<InnerNode>;
}

/** A leaf and its position in the repository. */
export interface PlacedLeaf {
  index: number;
  ref: BlobRef;
}

/** A leaf's bytes; of a patch, also those of the leaf that it builds on. */
interface StoredLeaf {
  ref: BlobRef;
  bytes: Buffer;
  base?: { ref: BlobRef; bytes: Buffer };
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
  readonly topLevel: number;
  readonly #repository: Repository;
  readonly #root: BlobRef | undefined;
  readonly #wants: (index: number) => boolean;
  readonly #path: (MappedNode | undefined)[] = [];
  #batch = new Map<number, StoredLeaf>();
  readonly #blobs: MapBlobOpener;

  /** `wants`: which leaves the caller will ask for, so that no others are read ahead. */
  constructor(
    repository: Repository,
    disk: Pick<PointDisk, "sizeBytes" | "root">,
    wants: (index: number) => boolean = () => true,
  ) {
    this.#repository = repository;
    this.#blobs = new MapBlobOpener(repository);
    this.#root = disk.root ? fromMapRoot(disk.root) : undefined;
    this.#wants = wants;
    this.topLevel = topLevel(disk.sizeBytes);
    this.leafCount = leafCount(disk.sizeBytes);
  }

  async leaf(index: number): Promise<MappedLeaf> {
    const child = await this.refOf(0, index);
    if (!child) return {};
    if (!this.#batch.has(index)) this.#batch = await this.#readBatch(index, child);
    const stored = this.#batch.get(index);
    if (!stored) throw new RangeError(`leaf ${index} was not read`);
    return { child, ...this.#decodeLeaf(index, stored) };
  }

  /** Leaves that may be far apart: reads these only. */
  async leaves(wanted: readonly PlacedLeaf[]): Promise<Map<number, Leaf>> {
    const stored = await this.#readLeaves(wanted, Number.POSITIVE_INFINITY);
    return new Map([...stored].map(([index, each]) => [index, this.#decodeLeaf(index, each).leaf]));
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

  /** The inner node at a level, from 1, and index; `undefined` if it stands for zeros only. */
  async node(level: number, index: number): Promise<InnerNode | undefined> {
    return (await this.mappedNode(level, index))?.node;
  }

  /** As `node`, with where it is stored and what it builds on. */
  async mappedNode(level: number, index: number): Promise<MappedNode | undefined> {
    const known = this.#path[level];
    if (known?.node.index === index) return known;
    const ref = await this.refOf(level, index);
    if (!ref) return undefined;
    const bytes = await this.#readBlob(ref);
    const patch = decodePatch(bytes, level, index, this.#blobs.objectOf(ref));
    const baseRef = patch?.base ?? ref;
    const baseBytes = patch ? await this.#readBlob(patch.base) : bytes;
    const base = decodeInnerNode(baseBytes, level, index, this.#blobs.objectOf(baseRef));
    const node = patch ? patchedInnerNode(patch, base) : base;
    const mapped = { ref, node, base: { ref: baseRef, node: base } };
    this.#path[level] = mapped;
    return mapped;
  }

  #decodeLeaf(index: number, { ref, bytes, base }: StoredLeaf): { leaf: Leaf; base: WholeNode<Leaf> } {
    const whole = base ?? { ref, bytes };
    const node = decodeLeaf(whole.bytes, index, this.#blobs.objectOf(whole.ref));
    const patch = base && decodePatch(bytes, 0, index, this.#blobs.objectOf(ref));
    return { leaf: patch ? patchedLeaf(patch, node) : node, base: { ref: whole.ref, node } };
  }

  /** Reads this leaf and some of those after it that are wanted. */
  async #readBatch(index: number, ref: BlobRef): Promise<Map<number, StoredLeaf>> {
    const batch = [{ index, ref }];
    const parent = this.topLevel === 0 ? undefined : await this.node(1, Math.floor(index / FAN_OUT));
    let bytes = ref.sealedBytes;
    for (let slot = (index % FAN_OUT) + 1; slot < FAN_OUT && batch.length < BATCH_LEAVES; slot++) {
      const next = parent?.children[slot]?.blob;
      const at = index - (index % FAN_OUT) + slot;
      if (!next || !this.#wants(at)) continue;
      bytes += next.sealedBytes;
      if (bytes > BATCH_BYTES) break;
      batch.push({ index: at, ref: next });
    }
    return this.#readLeaves(batch, BATCH_BYTES);
  }

  /**
   * Reads leaves and what they build on. The bases have at most `maxBaseBytes`, or are that of the first
   * leaf; leaves whose bases would be more are left out.
   */
  async #readLeaves(wanted: readonly PlacedLeaf[], maxBaseBytes: number): Promise<Map<number, StoredLeaf>> {
    const leaves = new Map<number, StoredLeaf>();
    const bases: PlacedLeaf[] = [];
    const own = await this.#readBlobs(wanted);
    let baseBytes = 0;
    for (const { index, ref } of wanted) {
      const bytes = own.get(index) ?? Buffer.alloc(0);
      const base = decodePatch(bytes, 0, index, this.#blobs.objectOf(ref))?.base;
      if (base) {
        baseBytes += base.sealedBytes;
        if (baseBytes > maxBaseBytes && bases.length > 0) break;
        bases.push({ index, ref: base });
      }
      leaves.set(index, { ref, bytes });
    }
    const read = await this.#readBlobs(bases);
    for (const { index, ref } of bases) {
      const [leaf, bytes] = [leaves.get(index), read.get(index)];
      if (leaf && bytes) leaf.base = { ref, bytes };
    }
    return leaves;
  }

  /** The bytes of these nodes, by their index, read with few requests for each pack. */
  async #readBlobs(places: readonly PlacedLeaf[]): Promise<Map<number, Buffer>> {
    const packs = Map.groupBy(places, ({ ref }) => this.#blobs.objectOf(ref));
    const spans = [...packs.values()].flatMap((of) => planSpans(of, ({ ref }) => ref, BATCH_BYTES));
    const blobs = new Map<number, Buffer>();
    for (let at = 0; at < spans.length; at += READS_AT_ONCE) {
      const reads = spans.slice(at, at + READS_AT_ONCE).map((span) => this.#readSpan(span));
      for (const { index, bytes } of (await Promise.all(reads)).flat()) blobs.set(index, bytes);
    }
    return blobs;
  }

  /** Opens the leaves of a span, all of one pack. */
  async #readSpan({ offset, bytes, items }: Span<PlacedLeaf>): Promise<{ index: number; bytes: Buffer }[]> {
    const [first] = items;
    if (!first) return [];
    const sealed = await this.#readRange(first.ref, offset, bytes);
    return items.map(({ index, ref }) => {
      const start = ref.offset - offset;
      return { index, bytes: this.#blobs.open(ref, sealed.subarray(start, start + ref.sealedBytes)) };
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
