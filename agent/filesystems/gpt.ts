import { crc32 } from "node:zlib";
import type { DiskReader } from "../disk/reader.ts";
import { DoubtError, doubt, readMetadata, toNumber } from "./doubt.ts";
import type { PartitionTable, TablePartition } from "./partition.ts";

/** By the UEFI specification and https://github.com/torvalds/linux/blob/master/block/partitions/efi.c. */

const SIGNATURE = "EFI PART";
const HEADER_BYTES = 92;
const ENTRY_BYTES = 128;
const UNUSED_TYPE = "00000000-0000-0000-0000-000000000000";
/** Attribute bit 2: legacy BIOS bootable. */
const LEGACY_BOOTABLE = 4n;

/** A header with its entries, and the position of its copy. */
interface GptCopy {
  table: PartitionTable;
  entries: Buffer;
  alternateOffset: number;
}

/**
 * The GUID partition table. The position of its header gives its sector size; Linux shows no partition if
 * that is not the disk's own, `diskSectorBytes`.
 */
export async function readGpt(reader: DiskReader, diskSectorBytes?: number): Promise<PartitionTable> {
  const problems: string[] = [];
  for (const sectorBytes of [512, 4096]) {
    const primary = await readAt(reader, sectorBytes, 1, problems);
    if (!primary) continue;
    if (sectorBytes !== (diskSectorBytes ?? sectorBytes)) {
      const counts = `in sectors of ${sectorBytes} bytes, and the disk has ${diskSectorBytes}`;
      primary.table.problems.push(`the GPT counts ${counts}`);
    }
    return withBackup(reader, primary, sectorBytes);
  }
  for (const sectorBytes of [512, 4096]) {
    const lastSector = Math.floor(reader.sizeBytes / sectorBytes) - 1;
    const backup = await readAt(reader, sectorBytes, lastSector, problems);
    // Linux then shows no partition, unless it is started with `gpt`.
    const reasons = [...problems, "the primary GPT is damaged; its backup was used"];
    if (backup) return { ...backup.table, problems: reasons };
  }
  return {
    kind: "unknown",
    partitions: [],
    structures: [],
    problems: [...problems, "no valid GPT was found"],
  };
}

/** A missing or damaged backup does not affect the primary; a sound one that differs does. */
async function withBackup(
  reader: DiskReader,
  { table, entries, alternateOffset }: GptCopy,
  sectorBytes: number,
): Promise<PartitionTable> {
  const structures = [...table.structures, alternateOffset];
  const backup = await readAt(reader, sectorBytes, alternateOffset / sectorBytes, []);
  const differs = backup && (backup.table.uuid !== table.uuid || !backup.entries.equals(entries));
  const problems = differs ? ["the GPT and its backup differ"] : [];
  return { ...table, structures, problems: [...table.problems, ...problems] };
}

/**
 * The table whose header is in this sector; `undefined` if there is none, with an entry in `problems` if it
 * is damaged.
 */
async function readAt(
  reader: DiskReader,
  sectorBytes: number,
  sector: number,
  problems: string[],
): Promise<GptCopy | undefined> {
  if (sector < 1 || (sector + 1) * sectorBytes > reader.sizeBytes) return undefined;
  const header = await readMetadata(reader, sector * sectorBytes, sectorBytes);
  if (header.toString("latin1", 0, 8) !== SIGNATURE) return undefined;
  try {
    return await parse(reader, sectorBytes, sector, header);
  } catch (error) {
    if (!(error instanceof DoubtError)) throw error;
    problems.push(`GPT header in sector ${sector}: ${error.message}`);
    return undefined;
  }
}

async function parse(
  reader: DiskReader,
  sectorBytes: number,
  sector: number,
  header: Buffer,
): Promise<GptCopy> {
  const headerBytes = header.readUInt32LE(12);
  if (headerBytes < HEADER_BYTES || headerBytes > sectorBytes) doubt("its length is wrong");
  const checked = Buffer.from(header.subarray(0, headerBytes));
  checked.writeUInt32LE(0, 16);
  if (crc32(checked) !== header.readUInt32LE(16)) doubt("its checksum is wrong");
  if (toNumber(header.readBigUInt64LE(24)) !== sector) doubt("it belongs elsewhere");
  const alternateOffset = toNumber(header.readBigUInt64LE(32)) * sectorBytes;
  const usable = [toNumber(header.readBigUInt64LE(40)), toNumber(header.readBigUInt64LE(48))] as const;

  const entryCount = header.readUInt32LE(80);
  const entryBytes = header.readUInt32LE(84);
  // Linux accepts no other size of entry.
  if (entryBytes !== ENTRY_BYTES || entryCount > 1024) doubt("its entries are out of range");
  const entriesOffset = toNumber(header.readBigUInt64LE(72)) * sectorBytes;
  const entries = await readMetadata(reader, entriesOffset, entryCount * entryBytes);
  if (crc32(entries) !== header.readUInt32LE(88)) doubt("the checksum of its entries is wrong");

  const table: PartitionTable = {
    kind: "gpt",
    uuid: guid(header, 56),
    partitions: partitionsOf(entries, sectorBytes),
    structures: [sector * sectorBytes],
    problems: [],
  };
  const [first, last] = [usable[0] * sectorBytes, (usable[1] + 1) * sectorBytes];
  // Linux refuses a table that is larger than its disk, as after the disk was shortened.
  if (last > reader.sizeBytes) table.problems.push("the space that the GPT manages ends beyond the disk");
  for (const { number, offsetBytes, sizeBytes } of table.partitions) {
    if (offsetBytes < first || offsetBytes + sizeBytes > last) {
      table.problems.push(`partition ${number} is outside of what the GPT manages`);
    }
  }
  return { table, entries, alternateOffset };
}

function partitionsOf(entries: Buffer, sectorBytes: number): TablePartition[] {
  const partitions: TablePartition[] = [];
  for (let index = 0; index * ENTRY_BYTES < entries.length; index++) {
    const entry = entries.subarray(index * ENTRY_BYTES, (index + 1) * ENTRY_BYTES);
    const type = guid(entry, 0);
    if (type === UNUSED_TYPE) continue;
    const first = toNumber(entry.readBigUInt64LE(32));
    const last = toNumber(entry.readBigUInt64LE(40));
    if (last < first) doubt(`partition ${index + 1} ends before it begins`);
    const label = entry.toString("utf16le", 56, 128).split("\0")[0];
    partitions.push({
      number: index + 1,
      offsetBytes: first * sectorBytes,
      sizeBytes: (last - first + 1) * sectorBytes,
      type,
      uuid: guid(entry, 16),
      ...(label && { label }),
      bootable: (entry.readBigUInt64LE(48) & LEGACY_BOOTABLE) !== 0n,
    });
  }
  return partitions;
}

/** The first three groups are little-endian, the rest is in order. */
function guid(bytes: Buffer, offset: number): string {
  const head = [
    bytes.readUInt32LE(offset).toString(16).padStart(8, "0"),
    bytes
      .readUInt16LE(offset + 4)
      .toString(16)
      .padStart(4, "0"),
    bytes
      .readUInt16LE(offset + 6)
      .toString(16)
      .padStart(4, "0"),
  ];
  const clock = bytes.toString("hex", offset + 8, offset + 10);
  return [...head, clock, bytes.toString("hex", offset + 10, offset + 16)].join("-");
}
