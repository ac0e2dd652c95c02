import { closeSync, openSync, readSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Extent } from "#shared/domain/extents.ts";
import { tool } from "../test-image.ts";
import type { Region } from "./region.ts";

export const SECTOR_BYTES = 512;
const BOOT_CODE_BYTES = 440;
const ENTRIES_OFFSET = 446;
const ENTRY_BYTES = 16;
const EXTENDED = 5;
/** The distance from an extended boot record to its logical partition. */
const RECORD_DISTANCE = 1024;
const GPT_SECTORS = 34;

/** In sectors of the region. */
export interface PlannedPartition {
  start: number;
  sectors: number;
  /** A number for an MBR; for a GPT, a type as `sfdisk` takes it. */
  type: string;
}

interface MbrEntry {
  start: number;
  sectors: number;
  type: number;
}

/**
 * Writes an MBR as `sfdisk` does, without the boot code if `keepsBootCode`. From `firstLogical` on the
 * partitions are logical ones, each with its boot record in the gap before it. Returns the positions written.
 */
export function writeMbr(
  region: Region,
  partitions: readonly PlannedPartition[],
  { firstLogical = partitions.length, keepsBootCode = false },
): Extent[] {
  const toEntry = ({ start, sectors, type }: PlannedPartition): MbrEntry => ({
    start,
    sectors,
    type: Number.parseInt(type, 16),
  });
  const entries = partitions.slice(0, firstLogical).map(toEntry);
  const logical = partitions.slice(firstLogical);
  const chainStart = (logical[0]?.start ?? 0) - RECORD_DISTANCE;
  const last = logical.at(-1);
  if (last)
    entries.push({ start: chainStart, sectors: last.start + last.sectors - chainStart, type: EXTENDED });
  const sector = bootSector(entries);
  const from = keepsBootCode ? BOOT_CODE_BYTES : 0;
  region.write(from, sector.subarray(from));
  const records = logical.map((partition, index) => {
    const record = partition.start - RECORD_DISTANCE;
    const next = logical[index + 1];
    const own = { ...toEntry(partition), start: RECORD_DISTANCE };
    const link = next && {
      start: next.start - RECORD_DISTANCE - chainStart,
      sectors: next.sectors + RECORD_DISTANCE,
      type: EXTENDED,
    };
    region.write(record * SECTOR_BYTES, bootSector(link ? [own, link] : [own]));
    return record * SECTOR_BYTES;
  });
  return [0, ...records].flatMap((offset) => region.places(offset, SECTOR_BYTES));
}

function bootSector(entries: readonly MbrEntry[]): Buffer {
  const sector = Buffer.alloc(SECTOR_BYTES);
  for (const [index, entry] of entries.entries()) encodeEntry(entry).copy(sector, entryOffset(index));
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

function encodeEntry({ start, sectors, type }: MbrEntry): Buffer {
  const entry = Buffer.alloc(ENTRY_BYTES);
  entry.writeUInt8(type, 4);
  entry.writeUInt32LE(start, 8);
  entry.writeUInt32LE(sectors, 12);
  return entry;
}

const entryOffset = (index: number) => ENTRIES_OFFSET + index * ENTRY_BYTES;

/** Gives the last, free entry of an MBR a type but no size: Linux ignores it. */
export function writeEmptyEntry(region: Region): void {
  region.write(entryOffset(3), encodeEntry({ start: 2048, sectors: 0, type: 0x83 }));
}

/**
 * Adds an extended partition whose boot record is at `recordSector`, inside a primary partition, and names
 * one logical partition. Linux shows both. Returns the place of the boot record.
 */
export function writeBootRecordWithin(
  region: Region,
  recordSector: number,
  { start, sectors }: { start: number; sectors: number },
): Extent[] {
  const extended = { start: recordSector, sectors: start + sectors - recordSector, type: EXTENDED };
  region.write(entryOffset(2), encodeEntry(extended));
  const logical = { start: start - recordSector, sectors, type: 0x83 };
  region.write(recordSector * SECTOR_BYTES, bootSector([logical]));
  return region.places(recordSector * SECTOR_BYTES, SECTOR_BYTES);
}

/** Makes GPTs with `sfdisk`, on a file of their own. */
export class GptMaker {
  readonly #scratch: string;

  constructor(folder: string) {
    this.#scratch = join(folder, "gpt");
  }

  /** Writes both copies, and the MBR before the first, over what is there. Returns their positions. */
  write(region: Region, partitions: readonly PlannedPartition[]): Extent[] {
    const sizeBytes = Math.floor(region.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
    const lines = partitions.map(
      ({ start, sectors, type }) => `start=${start}, size=${sectors}, type=${type}`,
    );
    writeFileSync(`${this.#scratch}.script`, `label: gpt\nfirst-lba: ${GPT_SECTORS}\n${lines.join("\n")}\n`);
    writeFileSync(this.#scratch, "");
    truncateSync(this.#scratch, sizeBytes);
    tool("sh", "-c", `sfdisk -q --no-reread --no-tell-kernel ${this.#scratch} < ${this.#scratch}.script`);
    const end = sizeBytes - (GPT_SECTORS - 1) * SECTOR_BYTES;
    region.write(0, readPart(this.#scratch, 0, GPT_SECTORS * SECTOR_BYTES));
    region.write(end, readPart(this.#scratch, end, sizeBytes - end));
    return [...region.places(0, GPT_SECTORS * SECTOR_BYTES), ...region.places(end, sizeBytes - end)];
  }
}

function readPart(path: string, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const file = openSync(path, "r");
  readSync(file, bytes, 0, length, offset);
  closeSync(file);
  return bytes;
}
