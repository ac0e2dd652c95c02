import { type Extent, normalize } from "#shared/domain/extents.ts";
import type { DiskReader } from "../disk/reader.ts";
import { doubt, readMetadata, toNumber } from "./doubt.ts";

const END_OF_ATTRIBUTES = 0xffff_ffff;
const ATTRIBUTE_LIST = 0x20;
const DATA = 0x80;
const RECORD_IN_USE = 1;
const STRIDE_BYTES = 512;
const BOOT_BYTES = 512;
/** The part of the boot sector that describes the volume, up to its serial number. Code follows. */
const BOOT_PARAMETERS_BYTES = 0x50;
/** A mirror can hold more, but always has the first four. */
const MIRRORED_RECORDS = 4;

interface Run {
  /** In clusters of the attribute. */
  first: number;
  count: number;
  /** On the volume; absent if the file is sparse there. */
  cluster?: number;
}

/** The bytes of one attribute of a file record. */
export interface NtfsAttribute {
  sizeBytes: number;
  /** On the volume; empty if the attribute is inside its record. */
  extents: Extent[];
  read(offset: number, length: number): Promise<Buffer>;
}

/**
 * Reads file records of an NTFS volume by their number in the master file table. Throws `DoubtError` for
 * anything unusual.
 */
export class NtfsVolume {
  readonly clusterBytes: number;
  readonly clusters: number;
  readonly #reader: DiskReader;
  readonly #recordBytes: number;
  #table: NtfsAttribute | undefined;
  readonly #tableStart: number;

  private constructor(reader: DiskReader, boot: Buffer) {
    const sectorBytes = boot.readUInt16LE(0x0b);
    const perCluster = boot.readUInt8(0x0d);
    // Large clusters are written as a negative power of two.
    this.clusterBytes = sectorBytes * (perCluster > 128 ? 2 ** (256 - perCluster) : perCluster);
    if (![512, 1024, 2048, 4096].includes(sectorBytes)) doubt("its sector size is out of range");
    if (this.clusterBytes < 512 || this.clusterBytes > 2 ** 21) doubt("its cluster size is out of range");
    const sizeBytes = toNumber(boot.readBigUInt64LE(0x28)) * sectorBytes;
    if (sizeBytes > reader.sizeBytes) doubt("it is larger than its volume");
    this.clusters = Math.floor(sizeBytes / this.clusterBytes);
    const recordSize = boot.readInt8(0x40);
    this.#recordBytes = recordSize > 0 ? recordSize * this.clusterBytes : 2 ** -recordSize;
    if (this.#recordBytes < 512 || this.#recordBytes > 65_536) doubt("its file records are out of range");
    this.#tableStart = toNumber(boot.readBigUInt64LE(0x30)) * this.clusterBytes;
    this.#reader = reader;
  }

  static async open(reader: DiskReader): Promise<NtfsVolume> {
    const boot = await readMetadata(reader, 0, BOOT_BYTES);
    if (boot.toString("latin1", 3, 11) !== "NTFS    " || boot.readUInt16LE(510) !== 0xaa55) {
      doubt("its boot sector is damaged");
    }
    const volume = new NtfsVolume(reader, boot);
    volume.#table = await volume.attribute(0, DATA);
    return volume;
  }

  /**
   * Throws `DoubtError` unless the copies are where they belong: the boot sector's behind the last cluster,
   * and that of the first file records where the boot sector says. Otherwise the volume was shortened,
   * continues elsewhere, or has been overwritten.
   */
  async requireCopies(): Promise<void> {
    const boot = await readMetadata(this.#reader, 0, BOOT_BYTES);
    const sizeBytes = toNumber(boot.readBigUInt64LE(0x28)) * boot.readUInt16LE(0x0b);
    const bootCopy = await readMetadata(this.#reader, sizeBytes, BOOT_BYTES);
    if (!boot.subarray(0, BOOT_PARAMETERS_BYTES).equals(bootCopy.subarray(0, BOOT_PARAMETERS_BYTES))) {
      doubt("the copy of its boot sector is missing");
    }
    const mirror = toNumber(boot.readBigUInt64LE(0x38)) * this.clusterBytes;
    const length = MIRRORED_RECORDS * this.#recordBytes;
    const records = await readMetadata(this.#reader, this.#tableStart, length);
    if (!records.equals(await readMetadata(this.#reader, mirror, length))) {
      doubt("the copy of its first file records differs");
    }
  }

  /** The extents of the master file table. */
  get tableExtents(): Extent[] {
    return this.#table?.extents ?? doubt("it has no master file table");
  }

  /** The unnamed attribute of this type; `undefined` if the record has none. */
  async attribute(recordNumber: number, type: number): Promise<NtfsAttribute | undefined> {
    const record = await this.#record(recordNumber);
    let offset = record.readUInt16LE(0x14);
    while (offset + 8 <= record.length) {
      const found = record.readUInt32LE(offset);
      if (found === END_OF_ATTRIBUTES) return undefined;
      const length = record.readUInt32LE(offset + 4);
      if (length < 24 || length % 8 !== 0 || offset + length > record.length)
        doubt("a file record is damaged");
      if (found === ATTRIBUTE_LIST) doubt("its metadata is spread over several file records");
      const nameless = record.readUInt8(offset + 9) === 0;
      // The index of a folder is the one attribute that has a name, `$I30`.
      if (found === type && (nameless || type >= 0x90))
        return this.#open(record.subarray(offset, offset + length));
      offset += length;
    }
    return doubt("a file record has no end");
  }

  async #record(number: number): Promise<Buffer> {
    const offset = number * this.#recordBytes;
    const record = this.#table
      ? await this.#table.read(offset, this.#recordBytes)
      : await readMetadata(this.#reader, this.#tableStart + offset, this.#recordBytes);
    if (record.toString("latin1", 0, 4) !== "FILE") doubt(`file record ${number} is damaged`);
    applyFixups(record);
    if ((record.readUInt16LE(0x16) & RECORD_IN_USE) === 0) doubt(`file record ${number} is not in use`);
    return record;
  }

  #open(attribute: Buffer): NtfsAttribute {
    const isResident = attribute.readUInt8(8) === 0;
    if (isResident) {
      const length = attribute.readUInt32LE(16);
      const start = attribute.readUInt16LE(20);
      if (start + length > attribute.length) doubt("a file record is damaged");
      const value = attribute.subarray(start, start + length);
      return {
        sizeBytes: length,
        extents: [],
        read: async (offset, count) => value.subarray(offset, offset + count),
      };
    }
    const runs = parseRuns(attribute, this.clusters);
    const sizeBytes = toNumber(attribute.readBigUInt64LE(48));
    const extents = runs.flatMap(({ cluster, count }) =>
      cluster === undefined
        ? []
        : [{ offset: cluster * this.clusterBytes, length: count * this.clusterBytes }],
    );
    const read = (offset: number, length: number) => this.#readRuns(runs, offset, length);
    return { sizeBytes, extents: normalize(extents), read };
  }

  async #readRuns(runs: Run[], offset: number, length: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let done = 0; done < length; ) {
      const cluster = Math.floor((offset + done) / this.clusterBytes);
      const run = runs.find(({ first, count }) => cluster >= first && cluster < first + count);
      if (!run) return doubt("metadata ends early");
      const within = offset + done - run.first * this.clusterBytes;
      const take = Math.min(length - done, run.count * this.clusterBytes - within);
      const start = run.cluster === undefined ? undefined : run.cluster * this.clusterBytes + within;
      pieces.push(start === undefined ? Buffer.alloc(take) : await readMetadata(this.#reader, start, take));
      done += take;
    }
    return Buffer.concat(pieces);
  }
}

/**
 * Each run: a byte with the sizes of two numbers, the count of clusters, and the distance of its start from
 * the previous run.
 */
function parseRuns(attribute: Buffer, clusters: number): Run[] {
  if (attribute.readBigUInt64LE(16) !== 0n) doubt("its metadata is spread over several file records");
  const runs: Run[] = [];
  let position = attribute.readUInt16LE(32);
  let first = 0;
  let cluster = 0;
  for (;;) {
    const sizes = attribute[position] ?? doubt("a list of runs has no end");
    if (sizes === 0) break;
    const [countBytes, distanceBytes] = [sizes & 0xf, sizes >> 4];
    if (countBytes === 0 || countBytes > 6 || distanceBytes > 6) doubt("a list of runs is damaged");
    if (position + 1 + countBytes + distanceBytes > attribute.length) doubt("a list of runs has no end");
    const count = attribute.readUIntLE(position + 1, countBytes);
    if (distanceBytes === 0) {
      runs.push({ first, count });
    } else {
      cluster += attribute.readIntLE(position + 1 + countBytes, distanceBytes);
      if (cluster < 0 || count === 0 || cluster + count > clusters) doubt("a list of runs is damaged");
      runs.push({ first, count, cluster });
    }
    first += count;
    position += 1 + countBytes + distanceBytes;
  }
  return runs;
}

/**
 * The last two bytes of each 512 were replaced by a number that reveals torn writes; the record's head keeps
 * the originals.
 */
export function applyFixups(record: Buffer): void {
  const offset = record.readUInt16LE(4);
  const count = record.readUInt16LE(6);
  if (count !== record.length / STRIDE_BYTES + 1 || offset + count * 2 > STRIDE_BYTES) {
    doubt("a file record is damaged");
  }
  for (let stride = 1; stride < count; stride++) {
    const end = stride * STRIDE_BYTES - 2;
    if (record.readUInt16LE(end) !== record.readUInt16LE(offset)) doubt("a file record was torn");
    record.copyWithin(end, offset + stride * 2, offset + stride * 2 + 2);
  }
}
