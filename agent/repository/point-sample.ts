import { BLOB_KIND, UNIT_BYTES } from "#shared/format/blob.ts";
import { BLOCK_BYTES, BlockNamer } from "#shared/format/block.ts";
import { createCompressor } from "#shared/format/compression.ts";
import { DamagedObjectError } from "#shared/format/errors.ts";
import { deriveBlockIdKey } from "#shared/format/keys.ts";
import type { BlockRef, Leaf } from "#shared/format/map-node.ts";
import { packKey } from "#shared/format/object-keys.ts";
import { createBlobOpener } from "#shared/format/pack.ts";
import type { PointDisk } from "#shared/format/point.ts";
import { ObjectNotFoundError } from "../store/object-store.ts";
import type { Repository } from "./repository.ts";
import { type MapEntry, VerifiedMap } from "./verified-map.ts";

/** How much of each disk is read. */
export interface SampleSize {
  leaves: number;
  /** Of each of these leaves. */
  units: number;
}

export interface SampledDisk {
  bytesRead: number;
  blocks: number;
}

/** Of a sparse disk most leaves are absent, and others are drawn in their place. */
const DRAWS_PER_LEAF = 32;

/**
 * Reads a random sample of a recovery point's disk: leaves of its map, each with the nodes above it up to the
 * content hash, and blocks of these leaves. Of the parts that are not zeros, each has the same chance. A disk
 * with fewer leaves is read with all its leaves. Throws `DamagedObjectError` for the first thing that is not
 * as the recovery point says; it names the object. `random` returns numbers from 0 to below 1.
 */
export async function sampleDisk(options: {
  repository: Repository;
  disk: PointDisk;
  size: SampleSize;
  random: () => number;
  signal?: AbortSignal | undefined;
}): Promise<SampledDisk> {
  const { repository, disk, size, random, signal } = options;
  const map = new VerifiedMap(repository, disk);
  const units = new UnitReader(repository);
  for (const chosen of await chooseLeaves(map, size.leaves, random)) {
    for (const leaf of (await map.leaves([chosen])).values())
      for (const blocks of chooseUnits(leaf, size.units, random)) {
        signal?.throwIfAborted();
        await units.check(blocks);
      }
  }
  return { bytesRead: units.bytesRead, blocks: units.blocks };
}

/** In rising order, as the map wants it. The disk's top node is checked even if all of it is zeros. */
async function chooseLeaves(
  map: VerifiedMap,
  wanted: number,
  random: () => number,
): Promise<{ index: number; entry: MapEntry }[]> {
  await map.entryOf(map.topLevel, 0);
  const chosen = new Map<number, MapEntry>();
  const consider = async (index: number) => {
    const entry = await map.entryOf(0, index);
    if (entry?.ref) chosen.set(index, entry);
  };
  if (map.leafCount <= wanted) {
    for (let index = 0; index < map.leafCount; index++) await consider(index);
  } else {
    for (let draw = 0; draw < wanted * DRAWS_PER_LEAF && chosen.size < wanted; draw++)
      await consider(Math.floor(random() * map.leafCount));
  }
  return [...chosen].sort(([a], [b]) => a - b).map(([index, entry]) => ({ index, entry }));
}

/** Each is the blocks of one unit that the leaf refers to. */
function chooseUnits(leaf: Leaf, wanted: number, random: () => number): BlockRef[][] {
  const used = leaf.blocks.filter((block) => block !== undefined);
  const units = [...Map.groupBy(used, ({ unit }) => unit).values()];
  while (units.length > wanted) units.splice(Math.floor(random() * units.length), 1);
  return units;
}

/** Reads units of packs, and compares each block with its id. */
class UnitReader {
  readonly #repository: Repository;
  readonly #namer: BlockNamer;
  readonly #using = { compressor: createCompressor(), output: Buffer.alloc(UNIT_BYTES) };
  bytesRead = 0;
  blocks = 0;

  constructor(repository: Repository) {
    this.#repository = repository;
    this.#namer = new BlockNamer(deriveBlockIdKey(repository.dataKey));
  }

  /** `blocks`: of one unit. Throws `DamagedObjectError`. */
  async check(blocks: readonly BlockRef[]): Promise<void> {
    const unit = blocks[0]?.unit;
    if (!unit) return;
    const { sourceId, dataKey } = this.#repository;
    const object = packKey(sourceId, unit.pack.name);
    const sealed = await this.#read(object, { offset: unit.offset, bytes: unit.sealedBytes });
    const content = createBlobOpener(dataKey, "data", unit.pack.salt).open(sealed, unit, object, this.#using);
    if (content.kind !== BLOB_KIND.unit) throw new DamagedObjectError(object, "a blob is not a unit");
    for (const { at, id } of blocks) {
      const bytes = content.bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
      if (bytes.length !== BLOCK_BYTES || !this.#namer.idOf(bytes).equals(id))
        throw new DamagedObjectError(object, "a block does not match its id");
    }
    this.blocks += blocks.length;
  }

  async #read(object: string, range: { offset: number; bytes: number }): Promise<Buffer> {
    try {
      const bytes = await this.#repository.store.get(object, { range });
      this.bytesRead += bytes.length;
      return bytes;
    } catch (error) {
      if (error instanceof ObjectNotFoundError)
        throw new DamagedObjectError(object, "it is missing", { cause: error });
      throw error;
    }
  }
}
