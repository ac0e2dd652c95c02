import type { DiskReader } from "../../disk/reader.ts";
import { type Piece, PLANTED_SIZE_BYTES } from "./planted-signatures.ts";

/** A sparse volume in which everything that was not written is zero. */
export class PlantedVolume implements DiskReader {
  readonly sizeBytes = PLANTED_SIZE_BYTES;
  readonly #pieces: [number, Buffer][];

  constructor(base: Buffer, pieces: readonly Piece[]) {
    this.#pieces = [
      [0, base],
      ...pieces.map(([offset, bytes]): [number, Buffer] => [offset, Buffer.from(bytes as string, "latin1")]),
    ];
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = Buffer.alloc(length);
    for (const [start, piece] of this.#pieces) {
      const from = Math.max(start, offset);
      const end = Math.min(start + piece.length, offset + length);
      if (from < end) piece.copy(bytes, from - offset, from - start, end - start);
    }
    return bytes;
  }
}
