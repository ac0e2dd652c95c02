import { MAX_SEALED_BYTES, UNIT_BLOCKS } from "./blob.ts";
import { ID_BYTES } from "./block.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { SALT_BYTES } from "./keys.ts";
import { FAN_OUT, HASH_BYTES, nodeHash } from "./tree.ts";

/** A pack as disk maps name it. With the salt, readers need no request for the pack's header. */
export interface PackRef {
  name: Buffer;
  salt: Buffer;
}

/** A blob in one of a node's packs. */
export interface BlobRef {
  pack: PackRef;
  number: number;
  offset: number;
  sealedBytes: number;
}

/** The place of one block: a unit, and which of the unit's blocks it is. */
export interface BlockRef {
  unit: BlobRef;
  at: number;
  id: Buffer;
}

/**
 * Bytes that could not be read from the source. The map counts them as zeros. Offsets are relative to the
 * leaf's first byte.
 */
export interface BadRange {
  offset: number;
  bytes: number;
}

/** The lowest level of a disk map: the places of 256 blocks. An absent block is all zeros. */
export interface Leaf {
  index: number;
  blocks: (BlockRef | undefined)[];
  badRanges: BadRange[];
}

/** A child of an inner node. Absent children are all zeros. */
export interface ChildRef {
  blob: BlobRef;
  hash: Buffer;
}

export interface InnerNode {
  /** 1 above the leaves, and so on. */
  level: number;
  index: number;
  children: (ChildRef | undefined)[];
}

const PACK_REF_BYTES = 32 + SALT_BYTES;
const BLOB_REF_BYTES = 14;
/** Names no blob: what it would describe is all zeros. */
export const NO_BLOB = 0xffff;

export function encodeLeaf(leaf: Leaf): Buffer {
  const table = new RefTable();
  const used = leaf.blocks.filter((block) => block !== undefined);
  const units = used.map((block) => table.add(block.unit));
  const out = new ByteWriter(
    16 + table.byteLength + FAN_OUT * 3 + used.length * ID_BYTES + leaf.badRanges.length * 8,
  );
  out.u8(0).u8(0).u16(table.packs.length).u16(table.blobs.length).u16(leaf.badRanges.length).u64(leaf.index);
  table.write(out);
  let next = 0;
  for (let slot = 0; slot < FAN_OUT; slot++) {
    const block = leaf.blocks[slot];
    out.u16(block ? (units[next++] ?? NO_BLOB) : NO_BLOB).u8(block?.at ?? 0);
  }
  for (const block of used) out.raw(block.id);
  for (const { offset, bytes } of leaf.badRanges) out.u32(offset).u32(bytes);
  return out.done();
}

/** Decodes the leaf that must be the one at `index`; `object` names it in errors. */
export function decodeLeaf(bytes: Uint8Array, index: number, object: string): Leaf {
  const input = new ByteReader(bytes, object);
  input.zeros(2);
  const counts = { packs: input.u16(), blobs: input.u16(), bad: input.u16() };
  if (input.u64() !== index) throw input.damaged("it describes another part of the disk");
  const units = readRefs(input, counts);
  const places = Array.from({ length: FAN_OUT }, () => ({ unit: input.u16(), at: input.u8() }));
  const blocks = places.map(({ unit, at }) => {
    if (unit === NO_BLOB && at === 0) return undefined;
    const ref = units[unit];
    if (!ref || at >= UNIT_BLOCKS) throw input.damaged("a block names no unit");
    return { unit: ref, at, id: input.raw(ID_BYTES) };
  });
  const badRanges = Array.from({ length: counts.bad }, () => ({ offset: input.u32(), bytes: input.u32() }));
  input.end();
  return { index, blocks, badRanges };
}

export function encodeInnerNode(node: InnerNode): Buffer {
  const table = new RefTable();
  const used = node.children.flatMap((child, slot) => (child ? [{ ...child, slot }] : []));
  const blobs = used.map((child) => table.add(child.blob));
  const out = new ByteWriter(16 + table.byteLength + used.length * (3 + HASH_BYTES));
  out.u8(node.level).u8(0).u16(table.packs.length).u16(table.blobs.length).u16(used.length).u64(node.index);
  table.write(out);
  used.forEach((child, at) => {
    out
      .u8(child.slot)
      .u16(blobs[at] ?? 0)
      .raw(child.hash);
  });
  return out.done();
}

/** Decodes the inner node that must be the one at `level` and `index`; `object` names it in errors. */
export function decodeInnerNode(bytes: Uint8Array, level: number, index: number, object: string): InnerNode {
  const input = new ByteReader(bytes, object);
  if (input.u8() !== level) throw input.damaged("it is of another level");
  input.zeros(1);
  const counts = { packs: input.u16(), blobs: input.u16(), children: input.u16() };
  if (input.u64() !== index) throw input.damaged("it describes another part of the disk");
  const blobs = readRefs(input, counts);
  const children: (ChildRef | undefined)[] = new Array(FAN_OUT).fill(undefined);
  for (let left = counts.children; left > 0; left--) {
    const slot = input.u8();
    const blob = blobs[input.u16()];
    const hash = input.raw(HASH_BYTES);
    if (!blob || children[slot]) throw input.damaged("a child is impossible");
    children[slot] = { blob, hash };
  }
  input.end();
  return { level, index, children };
}

/** The distinct packs and blobs that a node names, each written once. */
export class RefTable {
  readonly packs: PackRef[] = [];
  readonly blobs: { pack: number; ref: BlobRef }[] = [];
  readonly #packAt = new Map<string, number>();
  readonly #blobAt = new Map<string, number>();

  add(ref: BlobRef): number {
    const packName = ref.pack.name.toString("latin1");
    const key = `${packName}${ref.number}`;
    const known = this.#blobAt.get(key);
    if (known !== undefined) return known;
    let pack = this.#packAt.get(packName);
    if (pack === undefined) {
      pack = this.packs.push(ref.pack) - 1;
      this.#packAt.set(packName, pack);
    }
    const at = this.blobs.push({ pack, ref }) - 1;
    this.#blobAt.set(key, at);
    return at;
  }

  get byteLength(): number {
    return this.packs.length * PACK_REF_BYTES + this.blobs.length * BLOB_REF_BYTES;
  }

  write(out: ByteWriter): void {
    for (const pack of this.packs) out.raw(pack.name).raw(pack.salt);
    for (const { pack, ref } of this.blobs)
      out.u16(pack).u32(ref.number).u32(ref.offset).u32(ref.sealedBytes);
  }
}

/** Reads what `RefTable` wrote. */
export function readRefs(input: ByteReader, counts: { packs: number; blobs: number }): BlobRef[] {
  const packs: PackRef[] = [];
  for (let left = counts.packs; left > 0; left--)
    packs.push({ name: input.raw(32), salt: input.raw(SALT_BYTES) });
  const blobs: BlobRef[] = [];
  for (let left = counts.blobs; left > 0; left--) {
    const pack = packs[input.u16()];
    if (!pack) throw input.damaged("a blob names no pack");
    const blob = { pack, number: input.u32(), offset: input.u32(), sealedBytes: input.u32() };
    // Readers make room for it.
    if (blob.sealedBytes > MAX_SEALED_BYTES) throw input.damaged("a blob is longer than any");
    blobs.push(blob);
  }
  return blobs;
}

/** The hash of a leaf; of one that is absent, the hash of zeros. */
export function leafHash(leaf: Pick<Leaf, "blocks"> | undefined): Buffer {
  return hashOver(0, leaf?.blocks.map((block) => block?.id) ?? []);
}

/** The hash of an inner node; of one that is absent, the hash of zeros. */
export function innerHash(node: Pick<InnerNode, "children"> | undefined, level: number): Buffer {
  return hashOver(level, node?.children.map((child) => child?.hash) ?? []);
}

function hashOver(level: number, children: readonly (Buffer | undefined)[]): Buffer {
  const bytes = Buffer.alloc(FAN_OUT * HASH_BYTES);
  for (const [slot, child] of children.entries()) if (child) bytes.set(child, slot * HASH_BYTES);
  return nodeHash(level, bytes);
}
