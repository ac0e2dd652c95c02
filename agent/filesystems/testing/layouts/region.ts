import type { Extent } from "#shared/domain/extents.ts";
import type { DiskReader } from "../../../disk/reader.ts";

/** A disk in memory on which layers are written one after another. */
export class MemoryDisk implements DiskReader {
  readonly #bytes: Buffer;
  #sizeBytes: number;

  /** All zeros. `buffer` is large enough for the size that the disk can grow to; its content is lost. */
  constructor(buffer: Buffer, sizeBytes: number) {
    this.#bytes = buffer.fill(0, 0, sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Shortens the disk, or grows it with zeros. */
  resize(sizeBytes: number): void {
    if (sizeBytes > this.#bytes.length) throw new RangeError("the disk has no room to grow");
    if (sizeBytes > this.#sizeBytes) this.#bytes.fill(0, this.#sizeBytes, sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  /** The disk's own memory. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#sizeBytes);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < 0 || offset + length > this.#sizeBytes) throw new RangeError("read beyond the disk");
    return Buffer.from(this.#bytes.subarray(offset, offset + length));
  }
}

/** Stretches of a disk that are written as one: a partition, or a logical volume in several pieces. */
export class Region {
  readonly disk: MemoryDisk;
  readonly pieces: readonly Extent[];
  readonly sizeBytes: number;

  constructor(disk: MemoryDisk, pieces: readonly Extent[]) {
    this.disk = disk;
    this.pieces = pieces;
    this.sizeBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** The positions of this stretch on the disk, as far as it is within the region. */
  places(offset: number, length: number): Extent[] {
    const places: Extent[] = [];
    let start = 0;
    for (const piece of this.pieces) {
      const first = Math.max(offset, start);
      const end = Math.min(offset + length, start + piece.length);
      if (first < end) places.push({ offset: piece.offset + first - start, length: end - first });
      start += piece.length;
    }
    return places;
  }

  within(offset: number, length: number): Region {
    return new Region(this.disk, this.places(offset, length));
  }

  write(offset: number, bytes: Uint8Array): void {
    const disk = this.disk.bytes();
    let done = 0;
    for (const place of this.places(offset, bytes.length)) {
      disk.set(bytes.subarray(done, done + place.length), place.offset);
      done += place.length;
    }
  }

  zero(offset: number, length: number): void {
    const disk = this.disk.bytes();
    for (const place of this.places(offset, length)) disk.fill(0, place.offset, place.offset + place.length);
  }

  read(): Buffer {
    const disk = this.disk.bytes();
    return Buffer.concat(this.pieces.map(({ offset, length }) => disk.subarray(offset, offset + length)));
  }
}
