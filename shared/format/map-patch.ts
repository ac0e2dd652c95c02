/**
 * Nodes that are stored as what differs from an earlier node. A patch builds on a node that is stored whole,
 * never on another patch, so a reader needs at most one more blob.
 */
import { UNIT_BLOCKS } from "./blob.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import {
  type BadRange,
  type BlobRef,
  type BlockRef,
  type ChildRef,
  encodeInnerNode,
  encodeLeaf,
  type InnerNode,
  type Leaf,
  NO_BLOB,
  RefTable,
  readRefs,
} from "./map-node.ts";
import { HASH_BYTES } from "./tree.ts";

/** A node that is stored whole, and where. */
export interface WholeNode<T> {
  ref: BlobRef;
  node: T;
}

/** What a slot of a patched node names: a block's unit, or a child. */
interface PatchedSlot {
  blob: BlobRef;
  /** Which block of the unit; 0 for a child. */
  at: number;
  hash: Buffer;
}

/** How a node differs from its base. */
export interface NodePatch {
  level: number;
  index: number;
  /** Where the whole node is that this builds on; it is of the same level and index. */
  base: BlobRef;
  /** The slots that differ; `undefined` is all zeros. */
  slots: Map<number, PatchedSlot | undefined>;
  /** All those of the leaf, not only new ones. */
  badRanges: BadRange[];
}

/** Marks a patch in a node's second byte. */
const PATCH = 1;
const HEADER_BYTES = 18;
const SLOT_BYTES = 4;

/**
 * A patch is stored if it has at most this part of the whole node's bytes. Each later patch has all changes
 * since the base, so this bounds what patches cost over many captures: docs/decisions/0094.
 */
const LARGEST_PART = 1 / 4;

export interface EncodedNode {
  whole: Buffer;
  /** What to store: a patch where that is much shorter, otherwise the whole node. */
  stored: Buffer;
}

/** Encodes a leaf, if there is a base as what differs from it. */
export function encodeLeafOn(leaf: Leaf, base: WholeNode<Leaf> | undefined): EncodedNode {
  const slots = leaf.blocks.map((block) => block && { blob: block.unit, at: block.at, hash: block.id });
  const before = base?.node.blocks.map(
    (block) => block && { blob: block.unit, at: block.at, hash: block.id },
  );
  return shorter(encodeLeaf(leaf), base && before && { ...leaf, level: 0, slots, before, base: base.ref });
}

/** Encodes an inner node, if there is a base as what differs from it. */
export function encodeInnerNodeOn(node: InnerNode, base: WholeNode<InnerNode> | undefined): EncodedNode {
  const slots = node.children.map((child) => child && { ...child, at: 0 });
  const before = base?.node.children.map((child) => child && { ...child, at: 0 });
  const differs = base && before && { ...node, slots, before, base: base.ref, badRanges: [] };
  return shorter(encodeInnerNode(node), differs);
}

function shorter(
  whole: Buffer,
  patched: (Omit<NodePatch, "slots"> & Record<"slots" | "before", (PatchedSlot | undefined)[]>) | undefined,
): EncodedNode {
  if (!patched) return { whole, stored: whole };
  const differing = patched.slots.flatMap((slot, at): [number, PatchedSlot | undefined][] =>
    isSame(slot, patched.before[at]) ? [] : [[at, slot]],
  );
  const patch = encodePatch({ ...patched, slots: new Map(differing) });
  return { whole, stored: patch.length <= whole.length * LARGEST_PART ? patch : whole };
}

function isSame(a: PatchedSlot | undefined, b: PatchedSlot | undefined): boolean {
  if (!a || !b) return a === b;
  const isSameBlob = a.blob.number === b.blob.number && a.blob.pack.name.equals(b.blob.pack.name);
  return isSameBlob && a.at === b.at && a.hash.equals(b.hash);
}

export function encodePatch({ level, index, base, slots, badRanges }: NodePatch): Buffer {
  const table = new RefTable();
  table.add(base);
  const used = [...slots].map(([slot, content]) => ({
    slot,
    content,
    blob: content ? table.add(content.blob) : NO_BLOB,
  }));
  const hashes = used.flatMap(({ content }) => content?.hash ?? []);
  const out = new ByteWriter(
    HEADER_BYTES +
      table.byteLength +
      used.length * SLOT_BYTES +
      hashes.length * HASH_BYTES +
      badRanges.length * 8,
  );
  out.u8(level).u8(PATCH).u16(table.packs.length).u16(table.blobs.length).u16(used.length);
  out.u16(badRanges.length).u64(index);
  table.write(out);
  for (const { slot, content, blob } of used)
    out
      .u8(slot)
      .u16(blob)
      .u8(content?.at ?? 0);
  for (const hash of hashes) out.raw(hash);
  for (const { offset, bytes } of badRanges) out.u32(offset).u32(bytes);
  return out.done();
}

/**
 * Decodes the patch that must be one of the node at `level` and `index`; `undefined` if the node is stored
 * whole. `object` names it in errors.
 */
export function decodePatch(
  bytes: Uint8Array,
  level: number,
  index: number,
  object: string,
): NodePatch | undefined {
  if (bytes[1] !== PATCH) return undefined;
  const input = new ByteReader(bytes, object);
  if (input.u8() !== level) throw input.damaged("it is of another level");
  input.raw(1);
  const counts = { packs: input.u16(), blobs: input.u16(), slots: input.u16(), bad: input.u16() };
  if (input.u64() !== index) throw input.damaged("it describes another part of the disk");
  if (level > 0 && counts.bad > 0) throw input.damaged("only a leaf has bad ranges");
  const blobs = readRefs(input, counts);
  const [base] = blobs;
  if (!base) throw input.damaged("a patch names no base");
  const atMost = level === 0 ? UNIT_BLOCKS : 1;
  const places = Array.from({ length: counts.slots }, () => {
    const [slot, blob, at] = [input.u8(), input.u16(), input.u8()];
    if (blob === NO_BLOB ? at !== 0 : !blobs[blob] || at >= atMost)
      throw input.damaged("a slot names no blob");
    return { slot, blob: blobs[blob], at };
  });
  const slots = new Map<number, PatchedSlot | undefined>();
  for (const { slot, blob, at } of places) {
    if (slots.has(slot)) throw input.damaged("a slot is patched twice");
    slots.set(slot, blob && { blob, at, hash: input.raw(HASH_BYTES) });
  }
  const badRanges = Array.from({ length: counts.bad }, () => ({ offset: input.u32(), bytes: input.u32() }));
  input.end();
  return { level, index, base, slots, badRanges };
}

/** The leaf that a patch describes. Blocks that it does not change are those of the base. */
export function patchedLeaf({ index, slots, badRanges }: NodePatch, base: Leaf): Leaf {
  const blocks = base.blocks.map((before, slot): BlockRef | undefined => {
    if (!slots.has(slot)) return before;
    const content = slots.get(slot);
    return content && { unit: content.blob, at: content.at, id: content.hash };
  });
  return { index, blocks, badRanges };
}

/** The inner node that a patch describes. Children that it does not change are those of the base. */
export function patchedInnerNode({ level, index, slots }: NodePatch, base: InnerNode): InnerNode {
  const children = base.children.map((before, slot): ChildRef | undefined => {
    if (!slots.has(slot)) return before;
    const content = slots.get(slot);
    return content && { blob: content.blob, hash: content.hash };
  });
  return { level, index, children };
}
