import type { DiskReader } from "../disk/reader.ts";
import { doubt, readMetadata, toNumber } from "./doubt.ts";

const FIRST_CLUSTER = 2;
const LAST_OF_CHAIN = 0xffff_ffff;
const BOOT_BYTES = 512;
/** A boot region: the boot sector, its continuation, and a sector of checksums. Its copy follows it. */
const REGION_SECTORS = 12;
const VOLUME_DIRTY = 2;
/** The second table of links is the valid one, or a medium failed. */
const UNUSUAL_FLAGS = 0x1 | 0x4;
/** Bytes of the boot sector that change while the volume is used: its flags, and how full it is. */
const CHANGING: readonly number[] = [106, 107, 112];
const FIELDS = { from: 64, to: 113 } as const;
/** Parts of the table of links that are kept in memory. */
const LINKS_BYTES = 65_536;
const MOST_PARTS = 256;
/** Of 32 KiB, those of 8 TiB. A bit for each of them is kept in memory, twice. */
const MOST_CLUSTERS = 2 ** 28;

/** Some clusters that follow each other. The first cluster of a volume is 0. */
export interface ClusterRun {
  first: number;
  count: number;
}

/** Where the content of a file or folder is, as the volume itself numbers clusters. */
export interface Allocation {
  first: number;
  /** Absent for the root folder, whose length only its links show. */
  bytes?: number;
  /** Whether the clusters follow each other, without links. */
  isContiguous: boolean;
}

/**
 * The geometry of an exFAT volume, and its links between clusters
 * (https://learn.microsoft.com/en-us/windows/win32/fileio/exfat-specification). Throws `DoubtError` for
 * anything that a volume which was unmounted cleanly does not have.
 */
export class ExfatVolume {
  readonly clusterBytes: number;
  readonly clusters: number;
  readonly root: Allocation;
  readonly #reader: DiskReader;
  readonly #heapOffset: number;
  readonly #tableOffset: number;
  readonly #tableBytes: number;
  readonly #links = new Map<number, Buffer>();

  private constructor(reader: DiskReader, boot: Buffer) {
    const sectorBytes = sectorBytesOf(boot);
    this.#reader = reader;
    this.clusterBytes = sectorBytes * 2 ** boot.readUInt8(109);
    if (this.clusterBytes > 32 * 2 ** 20) doubt("its cluster size is out of range");
    this.clusters = boot.readUInt32LE(92);
    if (this.clusters > MOST_CLUSTERS) doubt("it has more clusters than are evaluated");
    this.root = { first: boot.readUInt32LE(96), isContiguous: false };
    this.#heapOffset = boot.readUInt32LE(88) * sectorBytes;
    this.#tableOffset = boot.readUInt32LE(80) * sectorBytes;
    this.#tableBytes = (this.clusters + FIRST_CLUSTER) * 4;
    const sizeBytes = toNumber(boot.readBigUInt64LE(72)) * sectorBytes;
    if (sizeBytes > reader.sizeBytes) doubt("it is larger than its volume");
    const tableEnd = this.#tableOffset + boot.readUInt32LE(84) * sectorBytes;
    if (
      this.#tableOffset < 2 * REGION_SECTORS * sectorBytes ||
      this.#tableOffset + this.#tableBytes > tableEnd ||
      tableEnd > this.#heapOffset ||
      this.offsetOf(this.clusters) > sizeBytes
    )
      doubt("its parts overlap or reach beyond it");
  }

  static async open(reader: DiskReader): Promise<ExfatVolume> {
    const boot = await readMetadata(reader, 0, BOOT_BYTES);
    const isBoot =
      boot.toString("latin1", 3, 11) === "EXFAT   " &&
      boot.subarray(11, FIELDS.from).every((byte) => byte === 0) &&
      boot.readUInt16LE(510) === 0xaa55;
    if (!isBoot) doubt("its boot sector is damaged");
    if (boot.readUInt8(105) !== 1) doubt("its version is not known");
    const flags = boot.readUInt16LE(106);
    if ((flags & VOLUME_DIRTY) !== 0) doubt("it is marked dirty");
    if ((flags & UNUSUAL_FLAGS) !== 0 || boot.readUInt8(110) !== 1)
      doubt("it is of a kind that was not tried");
    await requireRegions(reader, sectorBytesOf(boot));
    return new ExfatVolume(reader, boot);
  }

  /** On the volume, of a cluster from 0. */
  offsetOf(cluster: number): number {
    return this.#heapOffset + cluster * this.clusterBytes;
  }

  read(offset: number, length: number): Promise<Buffer> {
    return readMetadata(this.#reader, offset, length);
  }

  /** The clusters of an allocation, in order. A chain that ends in itself has no end: see `Claims`. */
  async *runsOf({ first, bytes, isContiguous }: Allocation): AsyncGenerator<ClusterRun, void> {
    const wanted = bytes === undefined ? undefined : Math.ceil(bytes / this.clusterBytes);
    if (isContiguous) {
      const run = { first: this.#numbered(first), count: wanted ?? 0 };
      if (run.first + run.count > this.clusters) doubt("metadata points outside the volume");
      yield run;
      return;
    }
    let run: ClusterRun = { first: 0, count: 0 };
    let total = 0;
    for (let next = first; next !== LAST_OF_CHAIN; next = await this.#linkOf(next)) {
      const cluster = this.#numbered(next);
      total += 1;
      if (wanted !== undefined && total > wanted) break;
      if (run.count > 0 && cluster === run.first + run.count) run.count += 1;
      else {
        if (run.count > 0) yield run;
        run = { first: cluster, count: 1 };
      }
    }
    if (wanted !== undefined && total !== wanted) doubt("a file has more or fewer clusters than its length");
    yield run;
  }

  async #linkOf(cluster: number): Promise<number> {
    const at = cluster * 4;
    const start = at - (at % LINKS_BYTES);
    let part = this.#links.get(start);
    if (!part) {
      const length = Math.min(LINKS_BYTES, this.#tableBytes - start);
      part = await readMetadata(this.#reader, this.#tableOffset + start, length);
      if (this.#links.size >= MOST_PARTS) this.#links.clear();
      this.#links.set(start, part);
    }
    return part.readUInt32LE(at - start);
  }

  /** From 0. */
  #numbered(cluster: number): number {
    const number = cluster - FIRST_CLUSTER;
    return number >= 0 && number < this.clusters ? number : doubt("metadata points outside the volume");
  }
}

function sectorBytesOf(boot: Buffer): number {
  const shift = boot.readUInt8(108);
  return shift >= 9 && shift <= 12 ? 2 ** shift : doubt("its sector size is out of range");
}

/**
 * Throws `DoubtError` unless the boot region and its copy have their checksums and agree: otherwise the
 * volume was shortened, continues elsewhere, or has been overwritten.
 */
async function requireRegions(reader: DiskReader, sectorBytes: number): Promise<void> {
  const bytes = REGION_SECTORS * sectorBytes;
  const [own, copy] = [await readMetadata(reader, 0, bytes), await readMetadata(reader, bytes, bytes)];
  if (!hasChecksum(own, sectorBytes)) doubt("the checksum of its boot sector is wrong");
  const fieldsOf = (region: Buffer) =>
    region.subarray(FIELDS.from, FIELDS.to).filter((_, at) => !CHANGING.includes(FIELDS.from + at));
  if (!hasChecksum(copy, sectorBytes) || Buffer.compare(fieldsOf(own), fieldsOf(copy)) !== 0)
    doubt("the copy of its boot sector is missing");
}

function hasChecksum(region: Buffer, sectorBytes: number): boolean {
  const checked = (REGION_SECTORS - 1) * sectorBytes;
  let sum = 0;
  for (let at = 0; at < checked; at++)
    if (!CHANGING.includes(at)) sum = (((sum << 31) | (sum >>> 1)) + region.readUInt8(at)) >>> 0;
  for (let at = checked; at < region.length; at += 4) if (region.readUInt32LE(at) !== sum) return false;
  return true;
}
