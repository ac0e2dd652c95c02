import { BLOB_KIND, UNIT_BYTES } from "#shared/format/blob.ts";
import { BLOCK_BYTES, BlockNamer, blockCount } from "#shared/format/block.ts";
import { createCompressor } from "#shared/format/compression.ts";
import { BlockMismatchError, DamagedObjectError } from "#shared/format/errors.ts";
import { deriveBlockIdKey } from "#shared/format/keys.ts";
import type { Leaf } from "#shared/format/map-node.ts";
import { packKey } from "#shared/format/object-keys.ts";
import { createBlobOpener } from "#shared/format/pack.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import { FAN_OUT } from "#shared/format/tree.ts";
import { type DiskReader, requireWithin } from "../disk/reader.ts";
import { planSpans, type Repository, type Span } from "../repository/repository.ts";
import { VerifiedMap } from "../repository/verified-map.ts";
import { type UnitBlocks, unitsByPack } from "../restore/restore-plan.ts";
import { ObjectNotFoundError } from "../store/object-store.ts";
import { BadRangeReadError } from "./errors.ts";
import { RecentlyUsed } from "./recently-used.ts";

/** 64 MiB. */
const KEPT_BLOCKS = 1024;
/** Each has the places of 16 MiB of the disk, in about 60 KiB. */
const KEPT_LEAVES = 64;
/** Blocks after the wanted one that are fetched with it, if they are stored near it. */
const AHEAD_BLOCKS = 32;
const FETCH_BYTES = 2 * 1024 * 1024;

/**
 * A disk of a recovery point, read from the repository at any place and in any order. The map is checked up
 * to the hash that the recovery point has of it, and each block against its id. The memory it takes does not
 * depend on the disk. Throws `DamagedObjectError` or `BlockMismatchError` for damage, `BadRangeReadError` for
 * bytes that were never read from the source.
 */
export class PointDiskReader implements DiskReader {
  readonly sizeBytes: number;
  readonly #repository: Repository;
  readonly #disk: MappedDisk;
  readonly #map: VerifiedMap;
  readonly #namer: BlockNamer;
  readonly #using = { compressor: createCompressor(), output: Buffer.alloc(UNIT_BYTES) };
  readonly #leaves = new RecentlyUsed<number, Leaf | "zeros">(KEPT_LEAVES);
  /** By id, so that a block that occurs in many places is kept once. */
  readonly #blocks = new RecentlyUsed<string, Buffer>(KEPT_BLOCKS);
  /** The map answers one question at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(repository: Repository, disk: MappedDisk) {
    this.#repository = repository;
    this.#disk = disk;
    this.sizeBytes = disk.sizeBytes;
    this.#map = new VerifiedMap(repository, disk);
    this.#namer = new BlockNamer(deriveBlockIdKey(repository.dataKey));
  }

  async read(offset: number, length: number): Promise<Buffer> {
    requireWithin(this, offset, length);
    const reading = this.#turn.then(() => this.#read(offset, length));
    this.#turn = reading.catch(() => undefined);
    return reading;
  }

  async #read(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const inBlock = at % BLOCK_BYTES;
      const count = Math.min(BLOCK_BYTES - inBlock, length - done);
      const block = await this.#block(Math.floor(at / BLOCK_BYTES), { inBlock, count });
      block?.copy(bytes, done, inBlock, inBlock + count);
      done += count;
    }
    return bytes;
  }

  /** The bytes of a block; `undefined` if they are all zeros. */
  async #block(number: number, part: { inBlock: number; count: number }): Promise<Buffer | undefined> {
    const index = Math.floor(number / FAN_OUT);
    const leaf = await this.#leaf(index);
    if (leaf === "zeros") return undefined;
    const slot = number % FAN_OUT;
    this.#requireRead(leaf, slot * BLOCK_BYTES + part.inBlock, part.count);
    const place = leaf.blocks[slot];
    if (!place) return undefined;
    const id = place.id.toString("latin1");
    if (!this.#blocks.get(id)) await this.#fetch(leaf, slot);
    const block = this.#blocks.get(id);
    if (!block) throw new RangeError(`block ${number} was not fetched`);
    return block;
  }

  async #leaf(index: number): Promise<Leaf | "zeros"> {
    const known = this.#leaves.get(index);
    if (known) return known;
    const entry = await this.#map.entryOf(0, index);
    if (!entry) throw new RangeError(`the map has no leaf ${index}`);
    const leaf = (await this.#map.leaves([{ index, entry }])).get(index) ?? "zeros";
    this.#leaves.set(index, leaf);
    return leaf;
  }

  #requireRead({ index, badRanges }: Leaf, offset: number, bytes: number): void {
    const bad = badRanges.find((each) => each.offset < offset + bytes && each.offset + each.bytes > offset);
    if (!bad) return;
    const start = index * FAN_OUT * BLOCK_BYTES;
    throw new BadRangeReadError(this.#disk.name, start + bad.offset, bad.bytes);
  }

  /** Fetches a block of a leaf, with those after it that one request gets as well. */
  async #fetch(leaf: Leaf, slot: number): Promise<void> {
    const wanted = leaf.blocks[slot];
    if (!wanted) return;
    const last = Math.min(slot + AHEAD_BLOCKS, FAN_OUT, blockCount(this.sizeBytes) - leaf.index * FAN_OUT);
    const slots = new Set<number>();
    for (let each = slot; each < last; each++) {
      const block = leaf.blocks[each];
      if (block && (each === slot || !this.#blocks.has(block.id.toString("latin1")))) slots.add(each);
    }
    const packs = unitsByPack([{ index: leaf.index, leaf, slots }]);
    const own = packs.find(({ pack }) => pack.name.equals(wanted.unit.pack.name));
    const span = planSpans(own?.units ?? [], ({ ref }) => ref, FETCH_BYTES).find(({ items }) =>
      items.some(({ ref }) => ref.number === wanted.unit.number),
    );
    if (span) await this.#open(span, wanted.unit.pack);
  }

  async #open(span: Span<UnitBlocks>, pack: UnitBlocks["ref"]["pack"]): Promise<void> {
    const object = packKey(this.#repository.sourceId, pack.name);
    const sealed = await this.#get(object, span);
    const opener = createBlobOpener(this.#repository.dataKey, "data", pack.salt);
    for (const { ref, blocks } of span.items) {
      const start = ref.offset - span.offset;
      const content = opener.open(sealed.subarray(start, start + ref.sealedBytes), ref, object, this.#using);
      if (content.kind !== BLOB_KIND.unit) throw new DamagedObjectError(object, "a blob is not a unit");
      for (const { at, block, id } of blocks) {
        const bytes = content.bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
        if (bytes.length !== BLOCK_BYTES || !this.#namer.idOf(bytes).equals(id))
          throw new BlockMismatchError(block, object);
        this.#blocks.set(Buffer.from(id).toString("latin1"), Buffer.from(bytes));
      }
    }
  }

  async #get(object: string, { offset, bytes }: { offset: number; bytes: number }): Promise<Buffer> {
    try {
      const sealed = await this.#repository.store.get(object, { range: { offset, bytes } });
      if (sealed.length !== bytes) throw new DamagedObjectError(object, "it is cut short");
      return sealed;
    } catch (error) {
      if (!(error instanceof ObjectNotFoundError)) throw error;
      throw new DamagedObjectError(object, "it is missing", { cause: error });
    }
  }
}
