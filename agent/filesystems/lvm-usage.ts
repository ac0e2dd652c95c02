import { type Extent, type Extents, intersect, normalize, subtract, union } from "#shared/domain/extents.ts";
import { type DiskReader, requireWithin } from "../disk/reader.ts";
import { DoubtError, doubt } from "./doubt.ts";
import { type LvmPiece, readLvmPhysicalVolume } from "./lvm-metadata.ts";
import type { MarkUsed } from "./mark-used.ts";

/**
 * Marks what is used of an LVM physical volume: all outside of its extents, and of each logical volume what `markVolume` marks, where it lies
 * here in one or more plain pieces, else all of it. Extents of no logical volume are free.
 */
export async function markLvmUsed(
  reader: DiskReader,
  mark: MarkUsed,
  markVolume: (volume: DiskReader, mark: MarkUsed) => Promise<void>,
): Promise<void> {
  const { extentsOffset, extentsBytes, volumes } = await readLvmPhysicalVolume(reader);
  const data = [{ offset: extentsOffset, length: extentsBytes }];
  markAll(mark, subtract([{ offset: 0, length: reader.sizeBytes }], data));
  let taken: Extent[] = [];
  for (const volume of volumes) {
    const places = normalize(volume.taken);
    if (intersect(taken, places).length > 0) doubt("its logical volumes overlap");
    if (subtract(places, data).length > 0) doubt("a logical volume lies outside of its extents");
    taken = union(taken, places);
    if (volume.pieces) await markPlainVolume(reader, volume.pieces, mark, markVolume);
    else markAll(mark, places);
  }
}

async function markPlainVolume(
  reader: DiskReader,
  pieces: LvmPiece[],
  mark: MarkUsed,
  markVolume: (volume: DiskReader, mark: MarkUsed) => Promise<void>,
): Promise<void> {
  try {
    await markVolume(new PiecesReader(reader, pieces), toPhysical(pieces, mark));
  } catch (error) {
    if (!(error instanceof DoubtError)) throw error;
    // One doubtful file system costs its own free space only.
    markAll(mark, pieces);
  }
}

function markAll(mark: MarkUsed, extents: Extents): void {
  for (const { offset, length } of extents) mark(offset, length);
}

/** Marks stretches of the logical volume where its pieces lie. */
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
