import { readFully, requireWithin } from "../disk/reader.ts";
import type { DiskImageSink } from "./disk-image-sink.ts";
import { ImageFile } from "./image-file.ts";
import {
  CLUSTER_BITS,
  CLUSTER_BYTES,
  ENTRY_BYTES,
  encodeEntry,
  encodeHeader,
  referenceCountSize,
} from "./qcow2-format.ts";
import { TableCache } from "./table-cache.ts";

const ENTRIES_PER_TABLE = CLUSTER_BYTES / ENTRY_BYTES;
/** 4 MiB of tables in memory, which address 32 GiB. */
const CACHED_TABLES = 64;

/** A piece of one `write` that is contiguous both on the disk and in the file. */
interface Run {
  fileOffset: number;
  start: number;
  end: number;
}

/**
 * Writes a qcow2 image directly. Clusters and tables are appended in the order of first use; reference counts
 * and header come last, so an unfinished file is not an image.
 *
 * Memory does not depend on the disk's size: the L1 table takes 8 bytes for each 512 MiB, and L2 tables are
 * cached.
 */
export class Qcow2Sink implements DiskImageSink {
  readonly sizeBytes: number;
  readonly #file: ImageFile;
  readonly #l1: BigUint64Array;
  readonly #tables: TableCache<BigUint64Array>;
  /** How many clusters of the file are in use; the next one is appended here. */
  #clusters: number;
  /** Allocations run one at a time; data is written concurrently. */
  #allocation: Promise<unknown> = Promise.resolve();

  private constructor(file: ImageFile, sizeBytes: number) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.#l1 = new BigUint64Array(Math.ceil(sizeBytes / (ENTRIES_PER_TABLE * CLUSTER_BYTES)));
    this.#tables = new TableCache(CACHED_TABLES, (index, table) => this.#writeTable(index, table));
    this.#clusters = 1 + this.#l1Clusters;
  }

  static async create(path: string, sizeBytes: number, contentBytes: number): Promise<Qcow2Sink> {
    const tableBytes = Math.ceil(contentBytes / (ENTRIES_PER_TABLE * CLUSTER_BYTES) + 4) * CLUSTER_BYTES;
    return new Qcow2Sink(await ImageFile.create(path, contentBytes + tableBytes), sizeBytes);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    requireWithin(this, offset, bytes.length);
    const allocated = this.#allocation.then(() => this.#allocate(offset, bytes.length));
    // The write itself reports a failed allocation; the next one tries again.
    this.#allocation = allocated.catch(() => undefined);
    for (const { fileOffset, start, end } of await allocated) {
      await this.#file.write(fileOffset, bytes.subarray(start, end));
    }
  }

  async finish(): Promise<void> {
    await this.#allocation;
    await this.#tables.evictAll();
    await this.#file.write(CLUSTER_BYTES, bigEndian(this.#l1));
    const { offset, clusters } = await this.#writeReferenceCounts();
    const header = encodeHeader({
      sizeBytes: this.sizeBytes,
      clusterBits: CLUSTER_BITS,
      l1Entries: this.#l1.length,
      l1Offset: CLUSTER_BYTES,
      referenceTableOffset: offset,
      referenceTableClusters: clusters,
    });
    await this.#file.write(0, header);
    await this.#file.publish();
  }

  abort(): Promise<void> {
    return this.#file.discard();
  }

  get #l1Clusters(): number {
    return Math.ceil((this.#l1.length * ENTRY_BYTES) / CLUSTER_BYTES);
  }

  /** File offsets for a range of the disk; appends the clusters that are missing. */
  async #allocate(offset: number, length: number): Promise<Run[]> {
    const runs: Run[] = [];
    for (let done = 0; done < length; ) {
      const position = offset + done;
      const within = position % CLUSTER_BYTES;
      const take = Math.min(CLUSTER_BYTES - within, length - done);
      const fileOffset = (await this.#clusterOffset(Math.floor(position / CLUSTER_BYTES))) + within;
      const last = runs.at(-1);
      if (last && last.fileOffset + (last.end - last.start) === fileOffset) last.end += take;
      else runs.push({ fileOffset, start: done, end: done + take });
      done += take;
    }
    return runs;
  }

  async #clusterOffset(cluster: number): Promise<number> {
    const table = await this.#table(Math.floor(cluster / ENTRIES_PER_TABLE));
    const index = cluster % ENTRIES_PER_TABLE;
    const known = table[index] ?? 0n;
    if (known !== 0n) return Number(known);
    const offset = this.#append(1);
    table[index] = BigInt(offset);
    return offset;
  }

  /** In memory the tables hold plain offsets. */
  async #table(index: number): Promise<BigUint64Array> {
    const cached = this.#tables.get(index);
    if (cached) return cached;
    const table = new BigUint64Array(ENTRIES_PER_TABLE);
    const known = this.#l1[index] ?? 0n;
    if (known === 0n) {
      this.#l1[index] = BigInt(this.#append(1));
    } else {
      const bytes = Buffer.allocUnsafe(CLUSTER_BYTES);
      await readFully(this.#file.handle, bytes, Number(known));
      for (let entry = 0; entry < ENTRIES_PER_TABLE; entry++) {
        table[entry] = bytes.readBigUInt64BE(entry * ENTRY_BYTES) & ~encodeEntry(0);
      }
    }
    await this.#tables.put(index, table);
    return table;
  }

  #writeTable(index: number, table: BigUint64Array): Promise<void> {
    return this.#file.write(Number(this.#l1[index]), bigEndian(table));
  }

  #append(clusters: number): number {
    const offset = this.#clusters * CLUSTER_BYTES;
    this.#clusters += clusters;
    return offset;
  }

  /** Nothing is ever freed, so each cluster's count is exactly one. */
  async #writeReferenceCounts(): Promise<{ offset: number; clusters: number }> {
    const { blocks, tableClusters } = referenceCountSize(this.#clusters);
    const firstBlock = this.#append(blocks);
    const tableOffset = this.#append(tableClusters);
    const table = Buffer.alloc(tableClusters * CLUSTER_BYTES);
    const ones = Buffer.alloc(CLUSTER_BYTES, Buffer.from([0, 1]));
    const countsPerBlock = CLUSTER_BYTES / 2;
    for (let block = 0; block < blocks; block++) {
      const offset = firstBlock + block * CLUSTER_BYTES;
      const counted = Math.min(countsPerBlock, this.#clusters - block * countsPerBlock);
      const bytes = counted === countsPerBlock ? ones : Buffer.concat([ones.subarray(0, counted * 2)]);
      await this.#file.write(offset, bytes);
      table.writeBigUInt64BE(BigInt(offset), block * ENTRY_BYTES);
    }
    await this.#file.write(tableOffset, table);
    return { offset: tableOffset, clusters: tableClusters };
  }
}

function bigEndian(table: BigUint64Array): Buffer {
  const bytes = Buffer.alloc(table.length * ENTRY_BYTES);
  for (const [index, offset] of table.entries()) {
    if (offset !== 0n) bytes.writeBigUInt64BE(encodeEntry(Number(offset)), index * ENTRY_BYTES);
  }
  return bytes;
}
