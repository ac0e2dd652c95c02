import type { DiskReader } from "../disk/reader.ts";
import type { PartitionTable, TablePartition } from "./partition.ts";

const SECTOR_BYTES = 512;
const BOOT_SIGNATURE = 0xaa55;
/** Up to here: what a BIOS starts. */
const CODE_BYTES = 440;
const TABLE_OFFSET = 446;
const ENTRY_BYTES = 16;
const PROTECTIVE_TYPE = 0xee;
const EXTENDED_TYPES = [0x05, 0x0f, 0x85];
/** More logical partitions than any system handles: the chain goes in circles. */
const LOGICAL_LIMIT = 128;

interface Entry {
  status: number;
  type: number;
  firstSector: number;
  sectors: number;
}

/**
 * The master boot record, or nothing where the first sector is none: no signature, no partition, or entries that are plainly code (the
 * boot sector of a file system has the same signature).
 */
export async function readMbr(
  reader: DiskReader,
): Promise<{ protective: boolean; table: PartitionTable } | undefined> {
  if (reader.sizeBytes < SECTOR_BYTES) return undefined;
  const sector = await readSector(reader, 0);
  const entries = entriesOf(sector);
  const present = entries.filter((entry) => entry.type !== 0);
  if (!isSigned(sector) || present.length === 0) return undefined;
  if (entries.some((entry) => entry.status !== 0 && entry.status !== 0x80)) return undefined;
  if (present.some((entry) => entry.firstSector === 0 || entry.sectors === 0)) return undefined;

  const table: PartitionTable = {
    kind: "mbr",
    uuid: `0x${sector.readUInt32LE(440).toString(16).padStart(8, "0")}`,
    partitions: [],
    problems: [],
  };
  for (const [index, entry] of entries.entries()) {
    if (EXTENDED_TYPES.includes(entry.type)) await readLogical(reader, entry.firstSector, table);
    else if (entry.type !== 0) table.partitions.push(toPartition(entry, index + 1, 0));
  }
  if (table.problems.length > 0) table.kind = "unknown";
  return { protective: present.some((entry) => entry.type === PROTECTIVE_TYPE), table };
}

/** Whether a BIOS would start something from the disk; a partition table alone has the signature too. */
export async function hasBootCode(reader: DiskReader): Promise<boolean> {
  if (reader.sizeBytes < SECTOR_BYTES) return false;
  const sector = await readSector(reader, 0);
  return isSigned(sector) && sector.subarray(0, CODE_BYTES).some((byte) => byte !== 0);
}

/** Follows the chain of extended boot records: each names one partition, relative to itself, and the next record, relative to the first. */
async function readLogical(reader: DiskReader, base: number, table: PartitionTable): Promise<void> {
  const seen = new Set<number>();
  for (let record = base; ; ) {
    if (seen.has(record) || seen.size >= LOGICAL_LIMIT || (record + 1) * SECTOR_BYTES > reader.sizeBytes) {
      table.problems.push("the chain of logical partitions is broken");
      return;
    }
    seen.add(record);
    const sector = await readSector(reader, record);
    if (!isSigned(sector)) {
      table.problems.push("an extended boot record has no signature");
      return;
    }
    const [own, next] = entriesOf(sector);
    if (own && own.type !== 0 && own.sectors > 0) {
      const number = 5 + table.partitions.filter((partition) => partition.number >= 5).length;
      table.partitions.push(toPartition(own, number, record));
    }
    if (!next || next.type === 0 || next.sectors === 0) return;
    record = base + next.firstSector;
  }
}

function toPartition(entry: Entry, number: number, baseSector: number): TablePartition {
  return {
    number,
    offsetBytes: (baseSector + entry.firstSector) * SECTOR_BYTES,
    sizeBytes: entry.sectors * SECTOR_BYTES,
    type: `0x${entry.type.toString(16).padStart(2, "0")}`,
    bootable: entry.status === 0x80,
  };
}

function entriesOf(sector: Buffer): Entry[] {
  return [0, 1, 2, 3].map((index) => {
    const offset = TABLE_OFFSET + index * ENTRY_BYTES;
    return {
      status: sector.readUInt8(offset),
      type: sector.readUInt8(offset + 4),
      firstSector: sector.readUInt32LE(offset + 8),
      sectors: sector.readUInt32LE(offset + 12),
    };
  });
}

function isSigned(sector: Buffer): boolean {
  return sector.readUInt16LE(510) === BOOT_SIGNATURE;
}

async function readSector(reader: DiskReader, sector: number): Promise<Buffer> {
  const bytes = await reader.read(sector * SECTOR_BYTES, SECTOR_BYTES);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
