import { ID_BYTES } from "#shared/format/block.ts";
import { KNOWN_BLOCK_BYTES, type SharedMemory, type StoredBlock } from "./shared-memory.ts";

const WAYS = 4;

/**
 * Where recently seen blocks are stored, by id, in a table of fixed size that all threads share. When it is
 * full it forgets some; an equal block is then stored again, which only costs space.
 */
export class KnownBlocks {
  readonly #memory: SharedMemory;
  readonly #table: Buffer;
  readonly #fields: Int32Array;
  readonly #mask: number;

  constructor(memory: SharedMemory) {
    const { knownBlocks } = memory.geometry;
    if (knownBlocks < WAYS || (knownBlocks & (knownBlocks - 1)) !== 0)
      throw new RangeError("not a power of two");
    this.#memory = memory;
    this.#table = memory.knownBlocks();
    this.#fields = new Int32Array(this.#table.buffer, this.#table.byteOffset, this.#table.length / 4);
    this.#mask = knownBlocks - 1;
  }

  find(id: Buffer): StoredBlock | undefined {
    return this.#memory.exclusively(() => {
      const entry = this.#entryOf(id);
      return entry === undefined ? undefined : this.#get(entry);
    });
  }

  add(id: Buffer, stored: StoredBlock): void {
    this.#memory.exclusively(() => {
      const first = this.#firstOf(id);
      let entry = this.#entryOf(id);
      for (let way = 0; entry === undefined && way < WAYS; way++)
        if (this.#isFree(first + way)) entry = first + way;
      // Full: replace one way, chosen by bits of the id that did not choose the set.
      this.#set(entry ?? first + (id.readUInt8(8) % WAYS), id, stored);
    });
  }

  #firstOf(id: Buffer): number {
    return (id.readUInt32LE(0) & this.#mask & ~(WAYS - 1)) >>> 0;
  }

  #entryOf(id: Buffer): number | undefined {
    const first = this.#firstOf(id);
    for (let entry = first; entry < first + WAYS; entry++) {
      const at = entry * KNOWN_BLOCK_BYTES;
      if (!this.#isFree(entry) && this.#table.compare(id, 0, ID_BYTES, at, at + ID_BYTES) === 0) return entry;
    }
    return undefined;
  }

  #isFree(entry: number): boolean {
    return this.#fields[entry * 16 + 13] !== 1;
  }

  #get(entry: number): StoredBlock {
    const [pack = 0, number = 0, offset = 0, sealedBytes = 0, at = 0] = this.#fields.subarray(
      entry * 16 + 8,
      entry * 16 + 13,
    );
    return { pack, number, offset, sealedBytes, at };
  }

  #set(entry: number, id: Buffer, { pack, number, offset, sealedBytes, at }: StoredBlock): void {
    this.#table.set(id, entry * KNOWN_BLOCK_BYTES);
    this.#fields.set([pack, number, offset, sealedBytes, at, 1], entry * 16 + 8);
  }
}
