import type { DiskSource } from "../disk-source.ts";

/** A disk in memory with the given faults, for tests. */
export class TestDisk implements DiskSource {
  bytes: Buffer;
  readonly sectorBytes = 512;
  /** Reads that touch one of these sectors fail with EIO. */
  readonly badSectors = new Set<number>();
  /** Called before each read. */
  onRead: (offset: number, bytes: number) => void = () => {};
  bytesRead = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.sizeBytes = bytes.length;
  }

  readonly sizeBytes: number;

  async read(offset: number, into: Buffer): Promise<number> {
    this.onRead(offset, into.length);
    for (const sector of this.badSectors) {
      const at = sector * this.sectorBytes;
      if (at < offset + into.length && at + this.sectorBytes > offset) {
        throw Object.assign(new Error("i/o error"), { code: "EIO" });
      }
    }
    const count = this.bytes.copy(into, 0, offset);
    this.bytesRead += count;
    return count;
  }

  async currentSizeBytes(): Promise<number> {
    return this.bytes.length;
  }

  async close(): Promise<void> {}
}

/**
 * A disk's content like a real one's: stretches of zeros, of text, of noise, and blocks that occur twice. The
 * same seed gives the same disk.
 */
export function testContent(sizeBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  let state = seed | 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) & 0xffff;
  };
  for (let at = 0; at < sizeBytes; ) {
    const length = Math.min(sizeBytes - at, (1 + (next() % 60)) * 4096);
    const kind = next() % 4;
    if (kind === 1) bytes.fill(`text ${next() % 97} of a file. `, at, at + length);
    if (kind === 2) for (let word = at; word + 2 <= at + length; word += 2) bytes.writeUInt16LE(next(), word);
    if (kind === 3 && at > 1 << 20)
      bytes.copyWithin(at, (next() % 16) * 65_536, (next() % 16) * 65_536 + length);
    at += length;
  }
  return bytes;
}

/** Changes some places of a disk, each of at most 4 KiB. */
export function changeContent(bytes: Buffer, places: number[]): Buffer {
  const changed = Buffer.from(bytes);
  for (const [number, place] of places.entries()) changed.fill(`change ${number} `, place, place + 4096);
  return changed;
}
