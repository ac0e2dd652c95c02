import { hash } from "node:crypto";
import { BLOB_KIND, UNIT_BYTES } from "#shared/format/blob.ts";
import { BLOCK_BYTES, BlockNamer, ID_BYTES } from "#shared/format/block.ts";
import { createCompressor } from "#shared/format/compression.ts";
import { DamagedObjectError, UnsupportedFormatError } from "#shared/format/errors.ts";
import { decodeKeyObject } from "#shared/format/key-object.ts";
import { deriveBlockIdKey } from "#shared/format/keys.ts";
import type { BlobRef, BlockRef } from "#shared/format/map-node.ts";
import { bootStatePrefix, keyObjectName, packKey, pointKey, prunedKey } from "#shared/format/object-keys.ts";
import { type OpenedPack, openPack, openPackIndex } from "#shared/format/pack.ts";
import type { PackIndex } from "#shared/format/pack-index.ts";
import { type Point, type PointDisk, RepositoryId } from "#shared/format/point.ts";
import { DiskHasher, FAN_OUT } from "#shared/format/tree.ts";
import { ObjectNotFoundError } from "../store/object-store.ts";
import { type MappedNode, MapReader } from "./map-reader.ts";
import { readPoint } from "./points.ts";
import type { Repository } from "./repository.ts";

export interface CheckProgress {
  objectsChecked: number;
  objectsTotal: number;
  bytesChecked: number;
}

/** An object that is not as it must be, and the consequences. */
export interface RepositoryFinding {
  object: string;
  problem: "damaged" | "missing" | "foreign" | "unsupported";
  detail: string;
  affects: {
    pointId: string;
    disk: string /** The offsets of affected blocks, at most 16. */;
    offsets: number[];
  }[];
}

export interface CheckReport {
  ok: boolean;
  points: number;
  objects: number;
  bytes: number;
  findings: RepositoryFinding[];
  /**
   * Packs that no recovery point refers to: from a capture that is running or was abandoned, or of parts of
   * a disk that were replaced since the node was stored whole that a patch builds on. They were checked, too.
   */
  unreferenced: string[];
}

export interface CheckOptions {
  repository: Repository;
  onProgress?: (progress: CheckProgress) => void;
  signal?: AbortSignal;
}

/**
 * Re-reads and re-hashes every object of a source server, and follows every recovery point to each of its
 * blocks. Never throws because of damage: the report lists it by object, with the points, disks and places
 * that need the object.
 */
export async function checkRepository(options: CheckOptions): Promise<CheckReport> {
  return new RepositoryCheck(options).run();
}

const MAX_OFFSETS = 16;

/**
 * How many packs' indexes are kept while a disk map is followed. A leaf refers to few, and the next leaf
 * mostly to the same.
 */
const KEPT_INDEXES = 16;

/** The position of a pack's index; undefined for a damaged pack. */
type Tail = { offset: number; bytes: number } | undefined;

class RepositoryCheck {
  readonly #options: CheckOptions;
  readonly #namer: BlockNamer;
  readonly #using = { compressor: createCompressor(), output: Buffer.alloc(UNIT_BYTES) };
  readonly #findings = new Map<string, RepositoryFinding>();
  readonly #packs = new Map<string, Tail>();
  readonly #indexes = new Map<string, PackIndex>();
  readonly #referenced = new Set<string>();
  /** At each level, the node whose references were recorded last. */
  readonly #lastNodes: (MappedNode | undefined)[] = [];
  #bytes = 0;

  constructor(options: CheckOptions) {
    this.#options = options;
    this.#namer = new BlockNamer(deriveBlockIdKey(options.repository.dataKey));
  }

  async run(): Promise<CheckReport> {
    const { repository, onProgress, signal } = this.#options;
    const keys: string[] = [];
    for await (const { key } of repository.store.list(`sources/${repository.sourceId}/`)) keys.push(key);
    const points: string[] = [];
    for (const [at, key] of keys.entries()) {
      signal?.throwIfAborted();
      await this.#checkObject(key, points);
      onProgress?.({ objectsChecked: at + 1, objectsTotal: keys.length, bytesChecked: this.#bytes });
    }
    if (!keys.includes(keyObjectName(repository.sourceId)) && keys.length > 0) {
      this.#find(
        keyObjectName(repository.sourceId),
        "missing",
        "the data key cannot be unwrapped again without it",
      );
    }
    for (const pointId of points) await this.#followUnlessCollected(pointId);
    const findings = [...this.#findings.values()];
    const unreferenced = [...this.#packs.keys()].filter((key) => !this.#referenced.has(key));
    return {
      ok: findings.length === 0,
      points: points.length,
      objects: keys.length,
      bytes: this.#bytes,
      findings,
      unreferenced,
    };
  }

  async #checkObject(key: string, points: string[]): Promise<void> {
    const { sourceId } = this.#options.repository;
    const [packs, pointPrefix, pruned] = [
      packKey(sourceId, ""),
      pointKey(sourceId, ""),
      prunedKey(sourceId, ""),
    ];
    const bootStates = bootStatePrefix(sourceId);
    const kind = [packs, pointPrefix, pruned, bootStates].find((prefix) => key.startsWith(prefix));
    const name = key.slice(kind?.length ?? 0);
    await this.#orFind(key, async () => {
      if (kind === packs && /^[0-9a-f]{64}$/.test(name))
        return this.#unlessGone(() => this.#checkPack(key, name));
      if (kind === pointPrefix && RepositoryId.safeParse(name).success) return void points.push(name);
      if (kind === pruned && RepositoryId.safeParse(name).success) return this.#checkMark(key);
      if (kind === bootStates) return this.#checkBootState(key, name);
      if (key !== keyObjectName(sourceId))
        return this.#find(key, "foreign", "no object of a repository has this name");
      const object = decodeKeyObject(await this.#get(key), key);
      if (object.sourceId !== sourceId)
        throw new DamagedObjectError(key, "it belongs to another source server");
    });
  }

  async #checkMark(key: string): Promise<void> {
    if ((await this.#get(key)).length > 0) throw new DamagedObjectError(key, "it is not empty");
  }

  async #checkBootState(key: string, name: string): Promise<void> {
    const [, sha256] = /^[0-9A-Za-z][0-9A-Za-z_-]{0,127}\/([0-9a-f]{64})\.json$/.exec(name) ?? [];
    if (!sha256) return this.#find(key, "foreign", "no object of a repository has this name");
    if (hash("sha256", await this.#get(key)) !== sha256)
      throw new DamagedObjectError(key, "its content does not match the hash in its name");
  }

  async #checkPack(key: string, name: string): Promise<void> {
    const bytes = await this.#get(key);
    // Recorded even if damaged, so that it does not count as missing.
    this.#packs.set(key, undefined);
    if (hash("sha256", bytes) !== name) {
      throw new DamagedObjectError(key, "its content does not match the hash in its name");
    }
    const pack = openPack(this.#options.repository.dataKey, bytes, key);
    for (const number of pack.index.blobs.keys()) this.#checkBlob(key, bytes, pack, number);
    this.#packs.set(key, { offset: pack.indexOffset, bytes: bytes.length - pack.indexOffset });
  }

  /** Opens a blob and compares it with the pack's index. */
  #checkBlob(key: string, bytes: Buffer, pack: OpenedPack, number: number): void {
    const entry = pack.index.blobs[number];
    if (!entry) return;
    const sealed = bytes.subarray(entry.offset, entry.offset + entry.sealedBytes);
    const content = pack.sealer.open(sealed, { number, offset: entry.offset }, key, this.#using);
    if (entry.kind !== "unit") return;
    if (content.kind !== BLOB_KIND.unit || content.blocks !== entry.placements.length) {
      throw new DamagedObjectError(key, "a unit does not match the index");
    }
    entry.placements.forEach(({ id }, at) => {
      const block = content.bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
      if (!this.#namer.idOf(block).equals(id))
        throw new DamagedObjectError(key, "a block does not match its id");
    });
  }

  /** Collect-garbage may delete a pack that was listed. A point that needs it is found out later. */
  async #unlessGone(check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      if (!(error instanceof ObjectNotFoundError)) throw error;
    }
  }

  /** A pruned point that collect-garbage deletes meanwhile is no longer there to be damaged. */
  async #followUnlessCollected(pointId: string): Promise<void> {
    const before = new Set(this.#findings.keys());
    await this.#followPoint(pointId);
    const found = [...this.#findings.values()].filter(({ object }) => !before.has(object));
    if (found.length === 0 || !(await this.#wasCollected(pointId))) return;
    for (const { object, problem } of found) if (problem === "missing") this.#findings.delete(object);
  }

  async #wasCollected(pointId: string): Promise<boolean> {
    const { sourceId } = this.#options.repository;
    if (await this.#exists(pointKey(sourceId, pointId))) return false;
    return this.#exists(prunedKey(sourceId, pointId));
  }

  async #exists(key: string): Promise<boolean> {
    try {
      await this.#get(key);
      return true;
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return false;
      throw error;
    }
  }

  async #followPoint(pointId: string): Promise<void> {
    const key = pointKey(this.#options.repository.sourceId, pointId);
    let point: Point | undefined;
    await this.#orFind(key, async () => {
      point = await readPoint(this.#options.repository, pointId);
    });
    for (const disk of point?.disks ?? []) await this.#followDisk(pointId, disk);
    if (!point) this.#affect(key, pointId, "", []);
  }

  async #followDisk(pointId: string, disk: PointDisk): Promise<void> {
    const map = new MapReader(this.#options.repository, disk);
    const hasher = new DiskHasher(disk.sizeBytes);
    const ids = Buffer.alloc(FAN_OUT * ID_BYTES);
    let whole = true;
    for (let index = 0; index < map.leafCount; index++) {
      this.#options.signal?.throwIfAborted();
      ids.fill(0);
      try {
        for (let level = 1; level <= map.topLevel; level++) {
          const node = await map.mappedNode(level, Math.floor(index / FAN_OUT ** level));
          this.#affectByNode(node?.ref, pointId, disk, index);
          this.#affectByNode(node?.base.ref, pointId, disk, index);
          this.#referReplaced(node);
        }
        const { leaf, child, base } = await map.leaf(index);
        this.#affectByNode(child, pointId, disk, index);
        this.#affectByNode(base?.ref, pointId, disk, index);
        // What a patch replaced stays stored with the leaf that it builds on.
        for (const block of base?.node.blocks ?? []) this.#refer(block?.unit);
        for (const [slot, block] of leaf?.blocks.entries() ?? []) {
          if (!block) continue;
          ids.set(block.id, slot * ID_BYTES);
          await this.#checkReference(pointId, disk, block, (index * FAN_OUT + slot) * BLOCK_BYTES);
        }
      } catch (error) {
        if (!(error instanceof DamagedObjectError)) throw error;
        whole = false;
        this.#find(
          error.object,
          error.cause instanceof ObjectNotFoundError ? "missing" : "damaged",
          error.message,
        );
        this.#affect(error.object, pointId, disk.name, [index * FAN_OUT * BLOCK_BYTES]);
      }
      hasher.addLeaf(ids);
    }
    if (whole && hasher.finish().toString("hex") !== disk.contentHash) {
      const key = pointKey(this.#options.repository.sourceId, pointId);
      this.#find(key, "damaged", `the map of ${disk.name} does not match its content hash`);
      this.#affect(key, pointId, disk.name, []);
    }
  }

  /** Whether the block is where the map says: in a sound pack, in that unit, at that position. */
  async #checkReference(pointId: string, disk: PointDisk, block: BlockRef, offset: number): Promise<void> {
    const key = this.#refer(block.unit) ?? "";
    const blob = (await this.#indexOf(key, block.unit))?.blobs[block.unit.number];
    const found = blob?.offset === block.unit.offset && blob.sealedBytes === block.unit.sealedBytes;
    if (
      found &&
      blob.kind === "unit" &&
      blob.placements[block.at]?.id.every((byte, at) => byte === block.id[at])
    )
      return;
    if (!this.#packs.has(key)) this.#find(key, "missing", "it is missing");
    else if (!this.#findings.has(key)) {
      this.#find(key, "damaged", "it does not hold a block that a disk map refers to");
    }
    this.#affect(key, pointId, disk.name, [offset]);
  }

  /** Reads the index of a sound pack again: all indexes together would not fit into memory. */
  async #indexOf(key: string, { pack }: BlobRef): Promise<PackIndex | undefined> {
    const tail = this.#packs.get(key);
    const known = this.#indexes.get(key);
    if (known || !tail) return known;
    const { store, dataKey } = this.#options.repository;
    const bytes = await store.get(key, { range: tail });
    const index = openPackIndex({ dataKey, kind: "data", salt: pack.salt }, bytes, tail.offset, key);
    const [oldest] = this.#indexes.keys();
    if (oldest !== undefined && this.#indexes.size >= KEPT_INDEXES) this.#indexes.delete(oldest);
    this.#indexes.set(key, index);
    return index;
  }

  /** What a patch replaced stays stored with the node that it builds on. */
  #referReplaced(mapped: MappedNode | undefined): void {
    if (!mapped || this.#lastNodes[mapped.node.level] === mapped) return;
    this.#lastNodes[mapped.node.level] = mapped;
    for (const child of mapped.base.node.children) this.#refer(child?.blob);
  }

  /** A node may still be readable in a pack that is damaged elsewhere. */
  #affectByNode(node: BlobRef | undefined, pointId: string, disk: PointDisk, leaf: number): void {
    const key = this.#refer(node);
    if (key) this.#affect(key, pointId, disk.name, [leaf * FAN_OUT * BLOCK_BYTES]);
  }

  #refer(ref: BlobRef | undefined): string | undefined {
    if (!ref) return undefined;
    const key = packKey(this.#options.repository.sourceId, ref.pack.name);
    this.#referenced.add(key);
    return key;
  }

  async #get(key: string): Promise<Buffer> {
    const bytes = await this.#options.repository.store.get(key);
    this.#bytes += bytes.length;
    return bytes;
  }

  async #orFind(key: string, check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      if (error instanceof DamagedObjectError) this.#find(key, "damaged", error.message);
      else if (error instanceof UnsupportedFormatError) this.#find(key, "unsupported", error.message);
      else if (error instanceof ObjectNotFoundError) this.#find(key, "missing", error.message);
      else throw error;
    }
  }

  #find(object: string, problem: RepositoryFinding["problem"], detail: string): void {
    if (!this.#findings.has(object)) this.#findings.set(object, { object, problem, detail, affects: [] });
  }

  #affect(object: string, pointId: string, disk: string, offsets: number[]): void {
    const finding = this.#findings.get(object);
    if (!finding) return;
    let affected = finding.affects.find((each) => each.pointId === pointId && each.disk === disk);
    if (!affected) {
      affected = { pointId, disk, offsets: [] };
      finding.affects.push(affected);
    }
    const { offsets: known } = affected;
    if (known.length < MAX_OFFSETS) known.push(...offsets.filter((offset) => !known.includes(offset)));
  }
}
