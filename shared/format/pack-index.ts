import { ID_BYTES } from "./block.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";

/** Which capture wrote a pack: with the positions in the index, enough to rebuild disk maps from packs alone. */
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
);

export interface PackIndex {
  origin: PackOrigin;
  blobs: PackIndexBlob[];
  /** Places whose content lies elsewhere (an equal block) or nowhere (cleared). */
  references: Placement[];
}

export const CAPTURE_ID_BYTES = 16;
export const PLACEMENT_BYTES: number = 8 + ID_BYTES;
const BLOB_ENTRY_BYTES = 12;
const KIND = { unit: 1, map: 2 } as const;

/** The length of the encoded index, which a pack's writer must keep room for. */
export function packIndexBytes(
  diskNameBytes: number,
  blobs: number,
  maps: number,
  placements: number,
): number {
  return (
    CAPTURE_ID_BYTES +
    8 +
    2 +
    diskNameBytes +
    4 +
    blobs * BLOB_ENTRY_BYTES +
    maps * 8 +
    4 +
    placements * PLACEMENT_BYTES
  );
}

export function encodePackIndex({ origin, blobs, references }: PackIndex): Buffer {
  const diskName = Buffer.from(origin.diskName);
  let maps = 0;
  let placements = references.length;
  for (const blob of blobs) {
    if (blob.kind === "map") maps += 1;
    else placements += blob.placements.length;
  }
  const out = new ByteWriter(packIndexBytes(diskName.length, blobs.length, maps, placements));
  out.raw(origin.captureId).u64(origin.startedAt).u16(diskName.length).raw(diskName).u32(blobs.length);
  for (const blob of blobs) {
    out.u32(blob.offset).u32(blob.sealedBytes).u8(KIND[blob.kind]);
    if (blob.kind === "map") out.u8(blob.level).u16(0).u64(blob.index);
    else {
      out.u8(0).u16(blob.placements.length);
      for (const { block, id } of blob.placements) out.u64(block).raw(id);
    }
  }
  out.u32(references.length);
  for (const { block, id } of references) out.u64(block).raw(id);
  return out.done();
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
  if (kind === KIND.unit && level === 0)
    return { ...place, kind: "unit", placements: decodePlacements(input, count) };
  throw input.damaged("its index has an entry of no known kind");
}

function decodePlacements(input: ByteReader, count: number): Placement[] {
  const placements: Placement[] = [];
  for (let left = count; left > 0; left--) placements.push({ block: input.u64(), id: input.raw(ID_BYTES) });
  return placements;
}
