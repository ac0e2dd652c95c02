import type { DiskReader } from "../disk/reader.ts";

/** What lies in a volume, by its signature; names as `blkid` has them. */
export interface Content {
  /** `none` where no known signature was found. */
  type: string;
  uuid?: string;
  label?: string;
}

interface Signature {
  type: string;
  offset: number;
  magic: string | Uint8Array;
  /** Reads the rest from the first 256 KiB; gives nothing where a second look shows that it is something else. */
  describe?: (head: Buffer) => Content | undefined;
}

const HEAD_BYTES = 256 * 1024;
const MD_MAGIC = Buffer.from([0xfc, 0x4e, 0x2b, 0xa9]);
const KIB = 1024;

/** In order: containers first, for the file system inside may show through. */
const SIGNATURES: readonly Signature[] = [
  { type: "crypto_LUKS", offset: 0, magic: Buffer.from("LUKS\xba\xbe", "latin1"), describe: describeLuks },
  ...[0, 512, 1024, 1536].map((offset) => ({
    ...{ type: "LVM2_member", offset: offset + 24, magic: "LVM2 001" },
    describe: (head: Buffer) => describeLvm(head, offset),
  })),
  { type: "linux_raid_member", offset: 0, magic: MD_MAGIC, describe: (head) => describeRaid(head, 0) },
  {
    type: "linux_raid_member",
    offset: 4 * KIB,
    magic: MD_MAGIC,
    describe: (head) => describeRaid(head, 4 * KIB),
  },
  { type: "swap", offset: 4 * KIB - 10, magic: "SWAPSPACE2", describe: describeSwap },
  { type: "swsuspend", offset: 4 * KIB - 10, magic: "S1SUSPEND" },
  { type: "xfs", offset: 0, magic: "XFSB", describe: describeXfs },
  { type: "btrfs", offset: 64 * KIB + 64, magic: "_BHRfS_M", describe: describeBtrfs },
  { type: "ext4", offset: 1080, magic: Buffer.from([0x53, 0xef]), describe: describeExt },
  { type: "ntfs", offset: 3, magic: "NTFS    ", describe: describeNtfs },
  { type: "exfat", offset: 3, magic: "EXFAT   " },
  { type: "BitLocker", offset: 3, magic: "-FVE-FS-" },
  { type: "vfat", offset: 82, magic: "FAT32   ", describe: (head) => describeFat(head, 67) },
  { type: "vfat", offset: 54, magic: "FAT1", describe: (head) => describeFat(head, 39) },
  { type: "squashfs", offset: 0, magic: "hsqs" },
  { type: "f2fs", offset: KIB, magic: Buffer.from([0x10, 0x20, 0xf5, 0xf2]) },
  { type: "jfs", offset: 32 * KIB, magic: "JFS1" },
  { type: "reiserfs", offset: 64 * KIB + 52, magic: "ReIsEr" },
  { type: "bcache", offset: 4 * KIB + 24, magic: Buffer.from("c68573f64e1a45ca8265f57f48ba6d81", "hex") },
  { type: "iso9660", offset: 32 * KIB + 1, magic: "CD001", describe: describeIso },
];

/** Tells what a volume holds. Reads at most 320 KiB; a volume too small to hold anything is `none`. */
export async function probeContent(reader: DiskReader): Promise<Content> {
  const bytes = await reader.read(0, Math.min(HEAD_BYTES, reader.sizeBytes));
  // Padded, so that signatures and fields can be read without minding the end of a tiny volume.
  const head = Buffer.concat([bytes], HEAD_BYTES);
  const raid = await probeRaidAtEnd(reader);
  if (raid) return raid;
  for (const { type, offset, magic, describe } of SIGNATURES) {
    const expected = typeof magic === "string" ? Buffer.from(magic, "latin1") : magic;
    if (!head.subarray(offset, offset + expected.length).equals(expected)) continue;
    const content = describe ? describe(head) : { type };
    if (content) return content;
  }
  return { type: "none" };
}

/** The older md formats keep their superblock near the end, so that the member looks like what is on the array. */
async function probeRaidAtEnd(reader: DiskReader): Promise<Content | undefined> {
  const version0 = Math.floor(reader.sizeBytes / (64 * KIB)) * 64 * KIB - 64 * KIB;
  const version1 = Math.floor((reader.sizeBytes - 8 * KIB) / (4 * KIB)) * 4 * KIB;
  for (const offset of [version0, version1]) {
    if (offset < 0 || offset + KIB > reader.sizeBytes) continue;
    const superblock = Buffer.from(await reader.read(offset, KIB));
    if (superblock.subarray(0, 4).equals(MD_MAGIC)) {
      return offset === version1 && superblock.readUInt32LE(4) === 1
        ? describeRaid(superblock, 0)
        : { type: "linux_raid_member" };
    }
  }
  return undefined;
}

function describeExt(head: Buffer): Content | undefined {
  const compatible = head.readUInt32LE(1024 + 0x5c);
  const incompatible = head.readUInt32LE(1024 + 0x60);
  const readOnly = head.readUInt32LE(1024 + 0x64);
  if (head.readUInt32LE(1024 + 0x18) > 6) return undefined;
  if ((incompatible & 0x8) !== 0) return { type: "jbd", uuid: uuid(head, 1024 + 0x68) };
  // Extents, 64bit, flexible groups, …: ext3 knows none of these.
  const isExt4 = (incompatible & ~0x16) !== 0 || (readOnly & ~0x7) !== 0;
  const type = isExt4 ? "ext4" : (compatible & 0x4) !== 0 ? "ext3" : "ext2";
  return { type, uuid: uuid(head, 1024 + 0x68), ...label(head, 1024 + 0x78, 16) };
}

function describeXfs(head: Buffer): Content {
  return { type: "xfs", uuid: uuid(head, 32), ...label(head, 108, 12) };
}

function describeBtrfs(head: Buffer): Content {
  const superblock = 64 * KIB;
  return { type: "btrfs", uuid: uuid(head, superblock + 0x20), ...label(head, superblock + 0x12b, 256) };
}

function describeSwap(head: Buffer): Content {
  return { type: "swap", uuid: uuid(head, 1036), ...label(head, 1052, 16) };
}

function describeNtfs(head: Buffer): Content {
  return { type: "ntfs", uuid: head.readBigUInt64LE(0x48).toString(16).toUpperCase().padStart(16, "0") };
}

/** `serial`: where the volume's serial number and, behind it, its label are. */
function describeFat(head: Buffer, serial: number): Content | undefined {
  if (head.readUInt16LE(510) !== 0xaa55) return undefined;
  const number = head.readUInt32LE(serial).toString(16).toUpperCase().padStart(8, "0");
  const name = label(head, serial + 4, 11);
  return {
    type: "vfat",
    uuid: `${number.slice(0, 4)}-${number.slice(4)}`,
    ...(name.label !== "NO NAME" && name),
  };
}

function describeLuks(head: Buffer): Content {
  return { type: "crypto_LUKS", uuid: text(head, 168, 40) };
}

function describeLvm(head: Buffer, labelOffset: number): Content | undefined {
  if (head.toString("latin1", labelOffset, labelOffset + 8) !== "LABELONE") return undefined;
  const id = text(head, labelOffset + head.readUInt32LE(labelOffset + 20), 32);
  const uuid = id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, "$1-$2-$3-$4-$5-$6-$7");
  return { type: "LVM2_member", uuid };
}

function describeRaid(bytes: Buffer, superblock: number): Content | undefined {
  if (bytes.readUInt32LE(superblock + 4) !== 1) return undefined;
  return {
    type: "linux_raid_member",
    uuid: uuid(bytes, superblock + 16),
    ...label(bytes, superblock + 32, 32),
  };
}

function describeIso(head: Buffer): Content {
  return { type: "iso9660", ...label(head, 32 * KIB + 40, 32) };
}

function uuid(bytes: Buffer, offset: number): string {
  const hex = bytes.toString("hex", offset, offset + 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function label(bytes: Buffer, offset: number, length: number): { label?: string } {
  const value = text(bytes, offset, length);
  return value === "" ? {} : { label: value };
}

function text(bytes: Buffer, offset: number, length: number): string {
  const end = bytes.indexOf(0, offset);
  return bytes.toString("utf8", offset, end < 0 ? offset + length : Math.min(end, offset + length)).trimEnd();
}
