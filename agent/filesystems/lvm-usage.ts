import { type Extent, intersect, normalize, subtract, union } from "#shared/domain/extents.ts";
import { type DiskReader, requireWithin } from "../disk/reader.ts";
import { DoubtError, doubt } from "./doubt.ts";
import { type LvmPiece, readLvmPhysicalVolume } from "./lvm-metadata.ts";

/**
 * What is used of an LVM physical volume: all outside of its extents, and of each logical volume what `volumeUsed` says, where it lies here
 * in one or more plain pieces, else all of it. Extents of no logical volume are free.
 */
export async function lvmUsedExtents(
  reader: DiskReader,
  volumeUsed: (volume: DiskReader) => Promise<Extent[]>,
): Promise<Extent[]> {
  const { extentsOffset, extentsBytes, volumes } = await readLvmPhysicalVolume(reader);
  const data = [{ offset: extentsOffset, length: extentsBytes }];
  let used = subtract([{ offset: 0, length: reader.sizeBytes }], data);
  let taken: Extent[] = [];
  for (const volume of volumes) {
    const places = normalize(volume.taken);
    if (intersect(taken, places).length > 0) doubt("its logical volumes overlap");
    if (subtract(places, data).length > 0) doubt("a logical volume lies outside of its extents");
    taken = union(taken, places);
    used = union(used, volume.pieces ? await plainVolumeUsed(reader, volume.pieces, volumeUsed) : places);
  }
  return used;
}

async function plainVolumeUsed(
  reader: DiskReader,
  pieces: LvmPiece[],
  volumeUsed: (volume: DiskReader) => Promise<Extent[]>,
): Promise<Extent[]> {
  try {
    return toPhysical(pieces, await volumeUsed(new PiecesReader(reader, pieces)));
  } catch (error) {
    if (!(error instanceof DoubtError)) throw error;
    // One doubtful file system costs its own free space only.
    return normalize(pieces);
  }
}

/** Moves extents of the logical volume to where its pieces lie. */
function toPhysical(pieces: LvmPiece[], extents: Extent[]): Extent[] {
  const moved: Extent[] = [];
  let start = 0;
  for (const piece of pieces) {
    const within = intersect(extents, [{ offset: start, length: piece.length }]);
    for (const { offset, length } of within) moved.push({ offset: offset - start + piece.offset, length });
    start += piece.length;
  }
  return normalize(moved);
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
