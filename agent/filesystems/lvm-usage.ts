import { type Extents, subtract } from "#shared/domain/extents.ts";
import { type DiskReader, requireWithin } from "../disk/reader.ts";
import { doubt } from "./doubt.ts";
import type { LvmPhysicalVolume, LvmPiece, LvmVolume } from "./lvm-volume.ts";
import type { MarkUsed } from "./mark-used.ts";

/** Marks what a logical volume uses, from the bytes of the reader; never throws because of its content. */
export type MarkLogicalVolume = (name: string, volume: DiskReader, mark: MarkUsed) => Promise<void>;

/**
 * Marks what is used of an LVM physical volume: everything outside of its extents and, for each logical
 * volume, what `markVolume` marks if its pieces are all here and plain, otherwise all of it. Extents of no
 * logical volume are free.
 */
export async function markLvmUsed(
  reader: DiskReader,
  { extentsOffset, extentsBytes, volumes }: LvmPhysicalVolume,
  mark: MarkUsed,
  markVolume: MarkLogicalVolume,
): Promise<void> {
  const data = [{ offset: extentsOffset, length: extentsBytes }];
  markAll(mark, subtract([{ offset: 0, length: reader.sizeBytes }], data));
  requireApart(volumes, data);
  for (const { name, pieces, taken } of volumes) {
    if (pieces) await markVolume(name, new PiecesReader(reader, pieces), toPhysical(pieces, mark));
    else markAll(mark, taken);
  }
}

function requireApart(volumes: readonly LvmVolume[], data: Extents): void {
  let end = 0;
  for (const { offset, length } of volumes
    .flatMap(({ taken }) => taken)
    .sort((a, b) => a.offset - b.offset)) {
    if (offset < end) doubt("its logical volumes overlap");
    end = offset + length;
    if (subtract([{ offset, length }], data).length > 0) doubt("a logical volume is outside of its extents");
  }
}

function markAll(mark: MarkUsed, extents: Extents): void {
  for (const { offset, length } of extents) mark(offset, length);
}

/** Marks stretches of the logical volume at the positions of its pieces. */
function toPhysical(pieces: LvmPiece[], mark: MarkUsed): MarkUsed {
  return (offset, length) => {
    let start = 0;
    for (const piece of pieces) {
      const from = Math.max(offset, start);
      const end = Math.min(offset + length, start + piece.length);
      if (from < end) mark(piece.offset + from - start, end - from);
      start += piece.length;
    }
  };
}

/** Pieces of a disk, read as one. */
class PiecesReader implements DiskReader {
  readonly sizeBytes: number;
  readonly #reader: DiskReader;
  readonly #pieces: LvmPiece[];

  constructor(reader: DiskReader, pieces: LvmPiece[]) {
    this.#reader = reader;
    this.#pieces = pieces;
    this.sizeBytes = pieces.reduce((total, piece) => total + piece.length, 0);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    requireWithin(this, offset, length);
    const parts: Uint8Array[] = [];
    let start = 0;
    for (const piece of this.#pieces) {
      const first = Math.max(offset, start);
      const end = Math.min(offset + length, start + piece.length);
      if (first < end) parts.push(await this.#reader.read(piece.offset + first - start, end - first));
      start += piece.length;
    }
    return Buffer.concat(parts);
  }
}
