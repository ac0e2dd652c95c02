import { crc32 } from "node:zlib";
import type { DiskReader } from "../disk/reader.ts";
import { DoubtError, doubt, readMetadata, toNumber } from "./doubt.ts";
import type { PartitionTable, TablePartition } from "./partition.ts";

const SIGNATURE = "EFI PART";
const HEADER_BYTES = 92;
const UNUSED_TYPE = "00000000-0000-0000-0000-000000000000";
/** Attribute bit 2: legacy BIOS bootable. */
const LEGACY_BOOTABLE = 4n;

/** The GUID partition table. Its logical sector size is found by where the header lies. */
export async function readGpt(reader: DiskReader): Promise<PartitionTable> {
  const problems: string[] = [];
  for (const sectorBytes of [512, 4096]) {
    const table = await readAt(reader, sectorBytes, 1, problems);
    if (table) return table;
  }
  for (const sectorBytes of [512, 4096]) {
    const lastSector = Math.floor(reader.sizeBytes / sectorBytes) - 1;
    const table = await readAt(reader, sectorBytes, lastSector, problems);
    if (table)
      return { ...table, problems: [...problems, "the primary GPT is damaged; its backup was used"] };
  }
  return { kind: "unknown", partitions: [], problems: [...problems, "no valid GPT was found"] };
}

/** The table whose header is in this sector; nothing, with an entry in `problems` where there is a damaged one. */
async function readAt(
  reader: DiskReader,
  sectorBytes: number,
  sector: number,
  problems: string[],
): Promise<PartitionTable | undefined> {
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
): Promise<PartitionTable> {
  const headerBytes = header.readUInt32LE(12);
  if (headerBytes < HEADER_BYTES || headerBytes > sectorBytes) doubt("its length is wrong");
  const checked = Buffer.from(header.subarray(0, headerBytes));
  checked.writeUInt32LE(0, 16);
  if (crc32(checked) !== header.readUInt32LE(16)) doubt("its checksum is wrong");
  if (toNumber(header.readBigUInt64LE(24)) !== sector) doubt("it belongs elsewhere");

  const entryCount = header.readUInt32LE(80);
  const entryBytes = header.readUInt32LE(84);
  if (entryBytes < 128 || entryBytes > 4096 || entryCount > 1024) doubt("its entries are out of range");
  const entriesOffset = toNumber(header.readBigUInt64LE(72)) * sectorBytes;
  const entries = await readMetadata(reader, entriesOffset, entryCount * entryBytes);
  if (crc32(entries) !== header.readUInt32LE(88)) doubt("the checksum of its entries is wrong");

  const partitions: TablePartition[] = [];
  for (let index = 0; index < entryCount; index++) {
    const entry = entries.subarray(index * entryBytes, (index + 1) * entryBytes);
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
  return { kind: "gpt", uuid: guid(header, 56), partitions, problems: [] };
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
