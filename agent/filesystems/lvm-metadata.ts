import { crc32 } from "node:zlib";
import type { DiskReader } from "../disk/reader.ts";
import { doubt, readMetadata, toNumber } from "./doubt.ts";
import { type LvmSection, type LvmValue, parseLvmText } from "./lvm-text.ts";

const SECTOR_BYTES = 512;
const AREA_HEADER_BYTES = 512;
const AREA_MAGIC = " LVM2 x[5A%r0N*>";
const AREA_LIMIT = 16;
/** LVM starts its CRC-32 from this instead of ones, and does not invert the result. */
const CHECKSUM_SEED = 0xf597a6cf;

/** A stretch of a logical volume on the one physical volume at hand. */
export interface LvmPiece {
  /** On the physical volume. */
  offset: number;
  length: number;
}

export interface LvmVolume {
  name: string;
  /** In the volume's order where all of it lies here, one after another; nothing for any other layout, or one that LVM uses internally. */
  pieces: LvmPiece[] | undefined;
  /** All that it takes of this physical volume, in whatever layout. */
  taken: LvmPiece[];
}

export interface LvmPhysicalVolume {
  /** Where extents begin, and how many bytes they cover. */
  extentsOffset: number;
  extentsBytes: number;
  volumes: LvmVolume[];
}

/** Reads the volume group's description from a physical volume. Doubts at bad checksums and at what it does not understand. */
export async function readLvmPhysicalVolume(reader: DiskReader): Promise<LvmPhysicalVolume> {
  const { id, areas } = await readLabel(reader);
  const text = await readNewestText(reader, areas);
  const root = parseLvmText(text);
  const group = Object.values(root).find((value): value is LvmSection => isSection(value));
  if (!group) return doubt("its LVM metadata names no volume group");
  return describe(group, id, reader.sizeBytes);
}

async function readLabel(
  reader: DiskReader,
): Promise<{ id: string; areas: { offset: number; length: number }[] }> {
  const head = await readMetadata(reader, 0, 4 * SECTOR_BYTES);
  const start = [0, 1, 2, 3].map((sector) => sector * SECTOR_BYTES).find((offset) => isLabel(head, offset));
  if (start === undefined) return doubt("it has no LVM label");
  const label = head.subarray(start, start + SECTOR_BYTES);
  if (checksum(label.subarray(20)) !== label.readUInt32LE(16))
    doubt("the checksum of its LVM label is wrong");
  const header = label.readUInt32LE(20);
  if (header + 40 > SECTOR_BYTES) doubt("its LVM label is damaged");
  const id = label.toString("latin1", header, header + 32);
  // Two lists of places, each ended by zeros: data areas, then metadata areas.
  const lists: { offset: number; length: number }[][] = [[], []];
  let position = header + 40;
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
  return { id, areas: lists[1] ?? [] };
}

function isLabel(head: Buffer, offset: number): boolean {
  return head.toString("latin1", offset, offset + 8) === "LABELONE";
}

/** With two metadata areas both must agree: which one is newer is LVM's to decide. */
async function readNewestText(
  reader: DiskReader,
  areas: { offset: number; length: number }[],
): Promise<string> {
  const texts = await Promise.all(areas.map((area) => readArea(reader, area)));
  const [first, ...others] = texts;
  if (first === undefined) return doubt("its LVM metadata is kept on other disks only");
  if (others.some((text) => text !== first)) doubt("its two copies of the LVM metadata differ");
  return first;
}

async function readArea(reader: DiskReader, area: { offset: number; length: number }): Promise<string> {
  const header = await readMetadata(reader, area.offset, AREA_HEADER_BYTES);
  if (header.toString("latin1", 4, 20) !== AREA_MAGIC) doubt("its LVM metadata area has no header");
  if (checksum(header.subarray(4)) !== header.readUInt32LE(0))
    doubt("a checksum of its LVM metadata is wrong");
  const offset = toNumber(header.readBigUInt64LE(40));
  const length = toNumber(header.readBigUInt64LE(48));
  if (offset < AREA_HEADER_BYTES || offset >= area.length || length > area.length) {
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

function describe(group: LvmSection, id: string, sizeBytes: number): LvmPhysicalVolume {
  const extentBytes = number(group, "extent_size") * SECTOR_BYTES;
  const physical = Object.entries(section(group, "physical_volumes"));
  const own = physical.find(([, pv]) => isSection(pv) && String(pv.id).replaceAll("-", "") === id);
  if (!own || !isSection(own[1])) return doubt("its LVM metadata does not name it");
  const [ownName, pv] = own;
  const extentsOffset = number(pv, "pe_start") * SECTOR_BYTES;
  const extentsBytes = number(pv, "pe_count") * extentBytes;
  if (extentBytes === 0 || extentsOffset + extentsBytes > sizeBytes) doubt("its LVM extents exceed it");

  const logical = group.logical_volumes === undefined ? {} : section(group, "logical_volumes");
  const internal = namesUsedBySegments(logical);
  const toPiece = (startExtent: number, count: number): LvmPiece => ({
    offset: extentsOffset + startExtent * extentBytes,
    length: count * extentBytes,
  });
  const volumes = Object.entries(logical).map(([name, lv]) => {
    if (!isSection(lv)) return doubt("its LVM metadata is damaged");
    return describeVolume({ name, lv, ownName, isInternal: internal.has(name), toPiece });
  });
  return { extentsOffset, extentsBytes, volumes };
}

/** Logical volumes that another one is made of: pools, mirrors' legs, snapshots. What lies in them is not a file system of its own. */
function namesUsedBySegments(logical: LvmSection): Set<string> {
  const names = new Set<string>();
  for (const lv of Object.values(logical)) {
    if (!isSection(lv)) continue;
    for (const segment of Object.values(lv).filter(isSection)) {
      for (const value of Object.values(segment).flat()) if (typeof value === "string") names.add(value);
    }
  }
  return names;
}

interface VolumeText {
  name: string;
  lv: LvmSection;
  ownName: string;
  isInternal: boolean;
  toPiece: (startExtent: number, count: number) => LvmPiece;
}

function describeVolume({ name, lv, ownName, isInternal, toPiece }: VolumeText): LvmVolume {
  const status = Array.isArray(lv.status) ? lv.status : [];
  const segments = Object.values(lv).filter(isSection);
  if (segments.length !== number(lv, "segment_count")) doubt("its LVM metadata is damaged");
  segments.sort((a, b) => number(a, "start_extent") - number(b, "start_extent"));
  let isPlain = status.includes("VISIBLE") && !isInternal;
  let nextExtent = 0;
  const taken: LvmPiece[] = [];
  for (const segment of segments) {
    const count = number(segment, "extent_count");
    isPlain &&= segment.type === "striped" && segment.stripe_count === 1;
    isPlain &&= number(segment, "start_extent") === nextExtent;
    nextExtent += count;
    for (const [pv, start] of stripesOf(segment)) {
      if (pv !== ownName) isPlain = false;
      else taken.push(toPiece(start, Math.ceil(count / stripeWidth(segment))));
    }
  }
  return { name, pieces: isPlain ? taken : undefined, taken };
}

/** Pairs of physical volume and first extent. A layout that names places elsewhere (old mirrors) is a doubt. */
function stripesOf(segment: LvmSection): [string, number][] {
  const stripes = segment.stripes;
  if (stripes === undefined) return [];
  if (segment.type !== "striped" || !Array.isArray(stripes))
    return doubt("it has an LVM layout that is not known here");
  return Array.from({ length: stripes.length / 2 }, (_, index) => {
    const [pv, start] = [stripes[index * 2], stripes[index * 2 + 1]];
    if (typeof pv !== "string" || typeof start !== "number") return doubt("its LVM metadata is damaged");
    return [pv, start];
  });
}

function stripeWidth(segment: LvmSection): number {
  return Math.max(1, number(segment, "stripe_count"));
}

function isSection(value: LvmValue | undefined): value is LvmSection {
  return typeof value === "object" && !Array.isArray(value);
}

function section(parent: LvmSection, name: string): LvmSection {
  const value = parent[name];
  return isSection(value) ? value : doubt("its LVM metadata is incomplete");
}

function number(parent: LvmSection, name: string): number {
  const value = parent[name];
  return typeof value === "number" && value >= 0 ? value : doubt("its LVM metadata is incomplete");
}
