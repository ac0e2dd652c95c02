/** What a dynamically linked program or library requires from its loader. */
export interface LinkRequirements {
  /** Path of the loader; programs have one, libraries do not. */
  interpreter: string | undefined;
  /** Names of the libraries. */
  needed: string[];
}

const PROGRAM_HEADER_TYPES = { load: 1, dynamic: 2, interpreter: 3 };
const DYNAMIC_TAGS = { end: 0n, needed: 1n, stringTable: 5n };
const DYNAMIC_ENTRY_BYTES = 16;

interface Segment {
  type: number;
  offset: number;
  address: bigint;
  sizeBytes: number;
}

/**
 * Reads a 64-bit little-endian ELF file; `undefined` for any other file. A statically linked program needs
 * nothing.
 */
export function linkRequirements(file: Buffer): LinkRequirements | undefined {
  const isElf64 = file.length >= 64 && file.readUInt32BE(0) === 0x7f454c46 && file.readUInt16LE(4) === 0x0102;
  if (!isElf64) return undefined;
  const segments = readSegments(file);
  const interpreterAt = segments.find(({ type }) => type === PROGRAM_HEADER_TYPES.interpreter);
  const dynamic = segments.find(({ type }) => type === PROGRAM_HEADER_TYPES.dynamic);
  return {
    interpreter: interpreterAt && stringAt(file, interpreterAt.offset),
    needed: dynamic ? readNeeded(file, dynamic, segments) : [],
  };
}

function readSegments(file: Buffer): Segment[] {
  const start = Number(file.readBigUInt64LE(32));
  const entryBytes = file.readUInt16LE(54);
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = start + index * entryBytes;
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: file.readBigUInt64LE(at + 16),
      sizeBytes: Number(file.readBigUInt64LE(at + 32)),
    };
  });
}

function readNeeded(file: Buffer, dynamic: Segment, segments: Segment[]): string[] {
  const nameOffsets: bigint[] = [];
  let stringTable: bigint | undefined;
  const end = dynamic.offset + dynamic.sizeBytes;
  for (let at = dynamic.offset; at + DYNAMIC_ENTRY_BYTES <= end; at += DYNAMIC_ENTRY_BYTES) {
    const tag = file.readBigUInt64LE(at);
    const value = file.readBigUInt64LE(at + 8);
    if (tag === DYNAMIC_TAGS.end) break;
    if (tag === DYNAMIC_TAGS.needed) nameOffsets.push(value);
    if (tag === DYNAMIC_TAGS.stringTable) stringTable = value;
  }
  if (stringTable === undefined) return [];
  const tableAt = fileOffset(stringTable, segments);
  return nameOffsets.map((offset) => stringAt(file, tableAt + Number(offset)));
}

function fileOffset(address: bigint, segments: Segment[]): number {
  const segment = segments.find(
    ({ type, address: start, sizeBytes }) =>
      type === PROGRAM_HEADER_TYPES.load && address >= start && address < start + BigInt(sizeBytes),
  );
  if (!segment) throw new RangeError(`address ${address} is in no segment of the file`);
  return segment.offset + Number(address - segment.address);
}

function stringAt(file: Buffer, offset: number): string {
  return file.toString("utf8", offset, file.indexOf(0, offset));
}
