import { type FileHandle, open } from "node:fs/promises";
import { ImageUnreadableError } from "#shared/errors.ts";
import { type CloseableDiskReader, readFully, requireWithin } from "../disk/reader.ts";
import { decodeEntry, decodeHeader, ENTRY_BYTES, HEADER_BYTES, type Qcow2Header } from "./qcow2-format.ts";
import { TableCache } from "./table-cache.ts";

const CACHED_TABLES = 64;

/** The disk inside a plain qcow2 image. */
export class Qcow2Reader implements CloseableDiskReader {
  readonly sizeBytes: number;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #clusterBytes: number;
  readonly #l1: Buffer;
  readonly #tables = new TableCache<Promise<Buffer>>(CACHED_TABLES, async () => undefined);

  private constructor(path: string, file: FileHandle, header: Qcow2Header, l1: Buffer) {
    this.#path = path;
    this.#file = file;
    this.sizeBytes = header.sizeBytes;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#l1 = l1;
  }

  static async open(path: string): Promise<Qcow2Reader> {
    const file = await open(path, "r");
    try {
      const head = Buffer.alloc(HEADER_BYTES);
      await readFully(file, head, 0);
      const header = decodeHeader(head, path);
      const l1 = Buffer.alloc(header.l1Entries * ENTRY_BYTES);
      await readFully(file, l1, header.l1Offset);
      return new Qcow2Reader(path, file, header, l1);
    } catch (error) {
      await file.close();
      throw error instanceof RangeError ? new ImageUnreadableError(path, "it is cut short") : error;
    }
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    requireWithin(this, offset, length);
    const bytes = into?.fill(0) ?? Buffer.alloc(length);
    for (const { start, end, fileOffset } of await this.#locate(offset, length)) {
      await this.#fill(bytes.subarray(start, end), fileOffset);
    }
    return bytes;
  }

  /** The range's pieces in the file, each as long as possible; what reads as zeros is in none. */
  async #locate(
    offset: number,
    length: number,
  ): Promise<{ start: number; end: number; fileOffset: number }[]> {
    const pieces: { start: number; end: number; fileOffset: number }[] = [];
    for (let done = 0; done < length; ) {
      const within = (offset + done) % this.#clusterBytes;
      const take = Math.min(this.#clusterBytes - within, length - done);
      const cluster = await this.#clusterOffset(Math.floor((offset + done) / this.#clusterBytes));
      const fileOffset = cluster + within;
      const last = pieces.at(-1);
      const continues = last?.end === done && last.fileOffset + last.end - last.start === fileOffset;
      if (cluster !== 0 && last && continues) last.end += take;
      else if (cluster !== 0) pieces.push({ start: done, end: done + take, fileOffset });
      done += take;
    }
    return pieces;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** 0 if the cluster reads as zeros. */
  async #clusterOffset(cluster: number): Promise<number> {
    const entries = this.#clusterBytes / ENTRY_BYTES;
    const tableIndex = Math.floor(cluster / entries);
    const tableOffset = decodeEntry(this.#l1.readBigUInt64BE(tableIndex * ENTRY_BYTES), this.#path);
    if (tableOffset === 0) return 0;
    let table = this.#tables.get(tableIndex);
    if (!table) {
      table = this.#readTable(tableOffset);
      await this.#tables.put(tableIndex, table);
    }
    return decodeEntry((await table).readBigUInt64BE((cluster % entries) * ENTRY_BYTES), this.#path);
  }

  async #readTable(offset: number): Promise<Buffer> {
    const table = Buffer.allocUnsafe(this.#clusterBytes);
    await this.#fill(table, offset);
    return table;
  }

  async #fill(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      await readFully(this.#file, bytes, offset);
    } catch (error) {
      if (error instanceof RangeError)
        throw new ImageUnreadableError(this.#path, "a table points beyond its end");
      throw error;
    }
  }
}
