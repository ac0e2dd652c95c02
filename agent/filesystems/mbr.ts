import type { Extent } from "#shared/domain/extents.ts";
import type { DiskReader } from "../disk/reader.ts";
import type { PartitionTable, TablePartition } from "./partition.ts";

/**
 * The meaning of a disk's first sector, by
 * https://github.com/torvalds/linux/blob/master/block/partitions/msdos.c.
 */

const RECORD_BYTES = 512;
const BOOT_SIGNATURE = 0xaa55;
/** The length of the code that a BIOS starts. */
const CODE_BYTES = 440;
const TABLE_OFFSET = 446;
const ENTRY_BYTES = 16;
export const PROTECTIVE_TYPE = 0xee;
const EXTENDED_TYPES = [0x05, 0x0f, 0x85];
/** More logical partitions than any system handles: the chain is circular. */
const LOGICAL_LIMIT = 128;

export interface MbrEntry {
  /** From 1. */
  number: number;
  status: number;
  type: number;
  firstSector: number;
  sectors: number;
}

/** Extended partitions, and the sectors that hold their chains: no partition may be there. */
export interface MbrTable extends PartitionTable {
  containers: (Extent & { records: Extent[] })[];
}

/**
 * Whether the sector holds a partition table, sound or not. The boot sector of a file system has the same
 * signature, but its code is where the entries would be.
 */
export function isMasterBootRecord(sector: Buffer, sizeBytes: number): boolean {
  if (!isSigned(sector)) return false;
  const entries = mbrEntries(sector);
  const isInUse = (entry: MbrEntry) => entry.type !== 0 || entry.sectors > 0;
  if (entries.every(hasKnownStatus)) return entries.some(isInUse);
  // Linux then sees no table. Others might, if an entry makes sense.
  return entries.some((entry) => isPlausible(entry, sizeBytes));
}

/** Whether the table's only partition begins at this sector, as mtools writes it into FAT volumes. */
export function describesItself(sector: Buffer): boolean {
  const [only, ...more] = mbrEntries(sector).filter((entry) => entry.sectors > 0);
  return only?.firstSector === 0 && more.length === 0;
}

/** The first sector's entries; `undefined` if it is not a master boot record. */
export async function readMbrEntries(reader: DiskReader): Promise<MbrEntry[] | undefined> {
  if (reader.sizeBytes < RECORD_BYTES) return undefined;
  const sector = await readRecord(reader, 0);
  return isMasterBootRecord(sector, reader.sizeBytes) ? mbrEntries(sector) : undefined;
}

/** The partitions of a master boot record as Linux shows them. `problems` lists other ways to read it. */
export async function readMbr(
  reader: DiskReader,
  entries: readonly MbrEntry[],
  sectorBytes: number,
): Promise<MbrTable> {
  const sector = await readRecord(reader, 0);
  const table: MbrTable = {
    kind: "mbr",
    uuid: `0x${sector.readUInt32LE(CODE_BYTES).toString(16).padStart(8, "0")}`,
    partitions: [],
    structures: [0],
    problems: [],
    containers: [],
  };
  if (!entries.every(hasKnownStatus))
    table.problems.push("the partition table has an entry with an odd status");
  // Linux skips entries without a size, whatever else they say.
  const present = entries.filter((entry) => entry.sectors > 0);
  if (present.length === 0) table.problems.push("the partition table has entries, but no partition");
  for (const entry of present) {
    if (entry.firstSector === 0)
      table.problems.push(`partition ${entry.number} begins at the partition table`);
    else if (EXTENDED_TYPES.includes(entry.type)) await readLogical(reader, entry, table, sectorBytes);
    else addPartition(table, entry, { number: entry.number, baseSector: 0, sectorBytes });
  }
  if (table.problems.length > 0) table.kind = "unknown";
  return table;
}

/** Whether a BIOS would start something from the disk; a partition table alone has the signature, too. */
export async function hasBootCode(reader: DiskReader): Promise<boolean> {
  if (reader.sizeBytes < RECORD_BYTES) return false;
  const sector = await readRecord(reader, 0);
  return isSigned(sector) && sector.subarray(0, CODE_BYTES).some((byte) => byte !== 0);
}

/**
 * Follows the chain of extended boot records: each names one partition, relative to itself, and the next
 * record, relative to the first.
 */
async function readLogical(
  reader: DiskReader,
  container: MbrEntry,
  table: MbrTable,
  sectorBytes: number,
): Promise<void> {
  const records: Extent[] = [];
  const base = container.firstSector;
  table.containers.push({ offset: base * sectorBytes, length: container.sectors * sectorBytes, records });
  const seen = new Set<number>();
  for (let record = base; ; ) {
    const isWithin = record >= base && record < base + container.sectors;
    if (
      !isWithin ||
      seen.has(record) ||
      seen.size >= LOGICAL_LIMIT ||
      (record + 1) * sectorBytes > reader.sizeBytes
    ) {
      table.problems.push("the chain of logical partitions is broken");
      return;
    }
    seen.add(record);
    records.push({ offset: record * sectorBytes, length: sectorBytes });
    const sector = await readRecord(reader, record * sectorBytes);
    if (!isSigned(sector)) {
      table.problems.push("an extended boot record has no signature");
      return;
    }
    const [own, next, ...others] = mbrEntries(sector);
    const isOdd =
      !own ||
      !next ||
      EXTENDED_TYPES.includes(own.type) ||
      others.some((entry) => entry.sectors > 0) ||
      (next.sectors > 0 && !EXTENDED_TYPES.includes(next.type));
    if (isOdd) {
      table.problems.push("an extended boot record has unusual entries");
      return;
    }
    if (own.sectors > 0) {
      const number = 5 + table.partitions.filter((partition) => partition.number >= 5).length;
      addPartition(table, own, { number, baseSector: record, sectorBytes });
    }
    if (next.sectors === 0) return;
    record = base + next.firstSector;
  }
}

function addPartition(
  table: MbrTable,
  entry: MbrEntry,
  { number, baseSector, sectorBytes }: { number: number; baseSector: number; sectorBytes: number },
): void {
  const partition: TablePartition = {
    number,
    offsetBytes: (baseSector + entry.firstSector) * sectorBytes,
    sizeBytes: entry.sectors * sectorBytes,
    type: `0x${entry.type.toString(16).padStart(2, "0")}`,
    bootable: entry.status === 0x80,
  };
  table.partitions.push(partition);
}

function mbrEntries(sector: Buffer): MbrEntry[] {
  return [0, 1, 2, 3].map((index) => {
    const offset = TABLE_OFFSET + index * ENTRY_BYTES;
    return {
      number: index + 1,
      status: sector.readUInt8(offset),
      type: sector.readUInt8(offset + 4),
      firstSector: sector.readUInt32LE(offset + 8),
      sectors: sector.readUInt32LE(offset + 12),
    };
  });
}

function hasKnownStatus({ status }: MbrEntry): boolean {
  return status === 0 || status === 0x80;
}

function isPlausible({ type, firstSector, sectors }: MbrEntry, sizeBytes: number): boolean {
  const end = (firstSector + sectors) * RECORD_BYTES;
  return type !== 0 && firstSector > 0 && sectors > 0 && end <= sizeBytes;
}

function isSigned(sector: Buffer): boolean {
  return sector.readUInt16LE(510) === BOOT_SIGNATURE;
}

async function readRecord(reader: DiskReader, offset: number): Promise<Buffer> {
  const bytes = await reader.read(offset, RECORD_BYTES);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
