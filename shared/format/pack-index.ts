import { ID_BYTES } from "./block.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";

/**
 * The capture that wrote a pack. Together with the positions in the index, it is enough to rebuild disk maps
 * from packs alone.
 */
export interface PackOrigin {
  /** 16 bytes, the same for all packs of one capture of one disk. */
  captureId: Uint8Array;
  /** Milliseconds since 1970. */
  startedAt: number;
  diskName: string;
}

/** A block's content at a place of the disk. The zero id says that the place was cleared. */
export interface Placement {
  block: number;
  id: Uint8Array;
}

export type PackIndexBlob = { offset: number; sealedBytes: number } & (
  | { kind: "unit"; placements: Placement[] }
  | { kind: "map"; level: number; index: number }
  | { kind: "list" }
);

export interface PackIndex {
  origin: PackOrigin;
  blobs: PackIndexBlob[];
  /** Places whose content is stored elsewhere (an equal block) or nowhere (cleared). */
  references: Placement[];
}

export const CAPTURE_ID_BYTES = 16;
export const PLACEMENT_BYTES: number = 8 + ID_BYTES;
const BLOB_ENTRY_BYTES = 12;
const MAP_INDEX_BYTES = 8;
const KIND = { unit: 1, map: 2, list: 3 } as const;

/**
 * Encodes a pack's index while the pack is filled. Entries are encoded at once: thousands of small objects
 * that live as long as a pack would cost more memory than the pack.
 */
export class PackIndexWriter {
  readonly #start: Buffer;
  readonly #blobs = new GrowingBytes();
  readonly #references = new GrowingBytes();
  #blobCount = 0;
  #placements = 0;

  constructor({ captureId, startedAt, diskName }: PackOrigin) {
    const name = Buffer.from(diskName);
    const out = new ByteWriter(CAPTURE_ID_BYTES + 8 + 2 + name.length);
    this.#start = out.raw(captureId).u64(startedAt).u16(name.length).raw(name).done();
  }

  get blobs(): number {
    return this.#blobCount;
  }

  /** The number of places on the disk that the index describes. */
  get placements(): number {
    return this.#placements;
  }

  /** The length of the index after this much has been added. */
  byteLengthWith(more: { blobs: number; placements: number }): number {
    const added = more.blobs * (BLOB_ENTRY_BYTES + MAP_INDEX_BYTES) + more.placements * PLACEMENT_BYTES;
    return this.#start.length + 8 + this.#blobs.length + this.#references.length + added;
  }

  addUnit(place: { offset: number; sealedBytes: number }, placements: readonly Placement[]): void {
    const out = new ByteWriter(BLOB_ENTRY_BYTES + placements.length * PLACEMENT_BYTES);
    out.u32(place.offset).u32(place.sealedBytes).u8(KIND.unit).u8(0).u16(placements.length);
    for (const { block, id } of placements) out.u64(block).raw(id);
    this.#blobs.append(out.done());
    this.#blobCount += 1;
    this.#placements += placements.length;
  }

  addMapNode(place: { offset: number; sealedBytes: number }, level: number, index: number): void {
    const out = new ByteWriter(BLOB_ENTRY_BYTES + MAP_INDEX_BYTES);
    out.u32(place.offset).u32(place.sealedBytes).u8(KIND.map).u8(level).u16(0).u64(index);
    this.#blobs.append(out.done());
    this.#blobCount += 1;
  }

  addList(place: { offset: number; sealedBytes: number }): void {
    const out = new ByteWriter(BLOB_ENTRY_BYTES);
    out.u32(place.offset).u32(place.sealedBytes).u8(KIND.list).u8(0).u16(0);
    this.#blobs.append(out.done());
    this.#blobCount += 1;
  }

  addReference({ block, id }: Placement): void {
    this.#references.append(new ByteWriter(PLACEMENT_BYTES).u64(block).raw(id).done());
    this.#placements += 1;
  }

  finish(): Buffer {
    const out = new ByteWriter(this.byteLengthWith({ blobs: 0, placements: 0 }));
    out.raw(this.#start).u32(this.#blobCount).raw(this.#blobs.bytes);
    return out
      .u32(this.#references.length / PLACEMENT_BYTES)
      .raw(this.#references.bytes)
      .done();
  }
}

/** Bytes appended to one buffer, which doubles when it is full. */
class GrowingBytes {
  #buffer = Buffer.alloc(4096);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  append(bytes: Buffer): void {
    if (this.#length + bytes.length > this.#buffer.length) {
      const larger = Buffer.alloc(2 * (this.#length + bytes.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#length += bytes.copy(this.#buffer, this.#length);
  }
}

export function decodePackIndex(bytes: Uint8Array, object: string): PackIndex {
  const input = new ByteReader(bytes, object);
  const captureId = input.raw(CAPTURE_ID_BYTES);
  const startedAt = input.u64();
  const diskName = input.raw(input.u16()).toString();
  const blobs: PackIndexBlob[] = [];
  for (let left = input.u32(); left > 0; left--) blobs.push(decodeBlob(input));
  const references = decodePlacements(input, input.u32());
  input.end();
  return { origin: { captureId, startedAt, diskName }, blobs, references };
}

function decodeBlob(input: ByteReader): PackIndexBlob {
  const place = { offset: input.u32(), sealedBytes: input.u32() };
  const kind = input.u8();
  const level = input.u8();
  const count = input.u16();
  if (kind === KIND.map && count === 0) return { ...place, kind: "map", level, index: input.u64() };
  if (kind === KIND.list && level === 0 && count === 0) return { ...place, kind: "list" };
  if (kind === KIND.unit && level === 0)
    return { ...place, kind: "unit", placements: decodePlacements(input, count) };
  throw input.damaged("its index has an entry of no known kind");
}

function decodePlacements(input: ByteReader, count: number): Placement[] {
  const placements: Placement[] = [];
  for (let left = count; left > 0; left--) placements.push({ block: input.u64(), id: input.raw(ID_BYTES) });
  return placements;
}
