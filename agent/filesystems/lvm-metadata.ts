import { crc32 } from "node:zlib";
import type { DiskReader } from "../disk/reader.ts";
import { doubt, readMetadata, toNumber } from "./doubt.ts";
import { describeGroup } from "./lvm-group.ts";
import { parseLvmText } from "./lvm-text.ts";
import type { LvmPhysicalVolume } from "./lvm-volume.ts";

const SECTOR_BYTES = 512;
const AREA_HEADER_BYTES = 512;
const AREA_MAGIC = " LVM2 x[5A%r0N*>";
const AREA_LIMIT = 16;
/** A flag of a position in an area's header: LVM does not keep the text there up to date. */
const IGNORED = 1;
/** LVM starts its CRC-32 from this instead of ones, and does not invert the result. */
const CHECKSUM_SEED = 0xf597a6cf;

/**
 * Reads the volume group's description from a physical volume. Throws `DoubtError` for wrong checksums, for
 * anything unknown, and whenever LVM itself might use another text.
 */
export async function readLvmPhysicalVolume(reader: DiskReader): Promise<LvmPhysicalVolume> {
  const { id, areas } = await readLabel(reader);
  const text = await readText(reader, areas);
  return describeGroup(parseLvmText(text), id, reader.sizeBytes);
}

async function readLabel(
  reader: DiskReader,
): Promise<{ id: string; areas: { offset: number; length: number }[] }> {
  const head = await readMetadata(reader, 0, 4 * SECTOR_BYTES);
  const starts = [0, 1, 2, 3]
    .map((sector) => sector * SECTOR_BYTES)
    .filter((offset) => isLabel(head, offset));
  const [start] = starts;
  if (start === undefined) return doubt("it has no LVM label");
  if (starts.length > 1) doubt("it has several LVM labels");
  const label = head.subarray(start, start + SECTOR_BYTES);
  if (checksum(label.subarray(20)) !== label.readUInt32LE(16))
    doubt("the checksum of its LVM label is wrong");
  if (toNumber(label.readBigUInt64LE(8)) * SECTOR_BYTES !== start) doubt("its LVM label belongs elsewhere");
  const header = label.readUInt32LE(20);
  if (header + 40 > SECTOR_BYTES) doubt("its LVM label is damaged");
  const id = label.toString("latin1", header, header + 32);
  // Two lists of positions, each ended by zeros: data areas, then metadata areas.
  const [data = [], areas = []] = readAreaLists(label, header + 40);
  if (data.length !== 1) doubt("its LVM label names an unusual number of data areas");
  return { id, areas };
}

function readAreaLists(label: Buffer, start: number): { offset: number; length: number }[][] {
  const lists: { offset: number; length: number }[][] = [[], []];
  let position = start;
  for (const list of lists) {
    for (;;) {
      if (position + 16 > SECTOR_BYTES || list.length > AREA_LIMIT) doubt("its LVM label is damaged");
      const offset = toNumber(label.readBigUInt64LE(position));
      const length = toNumber(label.readBigUInt64LE(position + 8));
      position += 16;
      if (offset === 0) break;
      list.push({ offset, length });
    }
  }
  return lists;
}

function isLabel(head: Buffer, offset: number): boolean {
  return head.toString("latin1", offset, offset + 8) === "LABELONE";
}

/**
 * Two metadata areas must agree, because only LVM can decide which one is newer. An ignored one does not
 * count.
 */
async function readText(reader: DiskReader, areas: { offset: number; length: number }[]): Promise<string> {
  const texts: string[] = [];
  for (const area of areas) {
    const text = await readArea(reader, area);
    if (text !== undefined) texts.push(text);
  }
  const [first, ...others] = texts;
  if (first === undefined) return doubt("its LVM metadata is kept on other disks only");
  if (others.some((text) => text !== first)) doubt("its two copies of the LVM metadata differ");
  return first;
}

/** The text at the position in an area's header; `undefined` if the header says to ignore it. */
async function readArea(
  reader: DiskReader,
  area: { offset: number; length: number },
): Promise<string | undefined> {
  const header = await readMetadata(reader, area.offset, AREA_HEADER_BYTES);
  if (header.toString("latin1", 4, 20) !== AREA_MAGIC) doubt("its LVM metadata area has no header");
  if (checksum(header.subarray(4)) !== header.readUInt32LE(0))
    doubt("a checksum of its LVM metadata is wrong");
  const isInPlace = toNumber(header.readBigUInt64LE(24)) === area.offset;
  if (!isInPlace || toNumber(header.readBigUInt64LE(32)) !== area.length) {
    doubt("its LVM metadata area belongs elsewhere");
  }
  const flags = header.readUInt32LE(60);
  if ((flags & IGNORED) !== 0) return undefined;
  // The second position is where an unfinished update would continue.
  if (flags !== 0 || header.readBigUInt64LE(64) !== 0n)
    doubt("an update of its LVM metadata was not finished");
  const offset = toNumber(header.readBigUInt64LE(40));
  const length = toNumber(header.readBigUInt64LE(48));
  if (offset < AREA_HEADER_BYTES || offset >= area.length || length > area.length - AREA_HEADER_BYTES) {
    doubt("its LVM metadata is missing");
  }
  // The text is kept in a ring behind the header.
  const first = await readMetadata(reader, area.offset + offset, Math.min(length, area.length - offset));
  const wrapped = length - first.length;
  const rest = await readMetadata(reader, area.offset + AREA_HEADER_BYTES, wrapped);
  const text = Buffer.concat([first, rest]);
  if (checksum(text) !== header.readUInt32LE(56)) doubt("a checksum of its LVM metadata is wrong");
  return text.toString("utf8").split("\0")[0] ?? "";
}

function checksum(bytes: Uint8Array): number {
  return ~crc32(bytes, ~CHECKSUM_SEED >>> 0) >>> 0;
}
