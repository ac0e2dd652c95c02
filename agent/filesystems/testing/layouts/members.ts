import type { Extent } from "#shared/domain/extents.ts";
import type { Region } from "./region.ts";

const KIB = 1024;
const SECTOR_BYTES = 512;
const MD_MAGIC = 0xa92b4efc;

/** A structure that identifies a whole region, by `blkid`'s name. */
export interface Member {
  type: string;
  /** No smaller ones exist. */
  leastBytes: number;
  write: (region: Region) => void;
}

export const MD_VERSIONS = ["0.90", "1.0", "1.1", "1.2"] as const;
export type MdVersion = (typeof MD_VERSIONS)[number];

/**
 * Writes the superblock of a member of an array with two disks. Returns the positions of the superblock and
 * of the array's data. Layouts: the kernel's `include/uapi/linux/raid/md_p.h`.
 */
export function writeMdMember(
  region: Region,
  version: MdVersion,
  level: 0 | 1,
): { data: Region; superblock: Extent[] } {
  const { sizeBytes } = region;
  if (version === "0.90") {
    const offset = Math.floor(sizeBytes / (64 * KIB)) * 64 * KIB - 64 * KIB;
    region.write(offset, mdSuperblock0(offset, level));
    return { data: region.within(0, offset), superblock: region.places(offset, 4 * KIB) };
  }
  const dataOffset = version === "1.0" ? 0 : 1024 * KIB;
  const atEnd = Math.floor((sizeBytes - 8 * KIB) / (4 * KIB)) * 4 * KIB;
  const offset = version === "1.0" ? atEnd : version === "1.1" ? 0 : 4 * KIB;
  const dataEnd = version === "1.0" ? atEnd : sizeBytes;
  region.write(offset, mdSuperblock1({ offset, dataOffset, dataBytes: dataEnd - dataOffset, level }));
  return {
    data: region.within(dataOffset, dataEnd - dataOffset),
    superblock: region.places(offset, 4 * KIB),
  };
}

function mdSuperblock0(dataBytes: number, level: number): Buffer {
  const sb = Buffer.alloc(4 * KIB);
  const words = [
    MD_MAGIC,
    0,
    90,
    0,
    0,
    0x01020304,
    1_795_856_097,
    level,
    dataBytes / KIB,
    2,
    2,
    0,
    0,
    5,
    6,
    7,
  ];
  for (const [at, word] of words.entries()) sb.writeUInt32LE(word, at * 4);
  // From word 32 on: the time of the update, clean, and how many disks there are.
  for (const [at, word] of [1_795_856_098, 1, 2, 2].entries()) sb.writeUInt32LE(word, (32 + at) * 4);
  let sum = 0;
  for (let at = 0; at < sb.length; at += 4) sum += sb.readUInt32LE(at);
  sb.writeUInt32LE(folded(sum), (32 + 6) * 4);
  return sb;
}

function mdSuperblock1({
  offset,
  dataOffset,
  dataBytes,
  level,
}: {
  offset: number;
  dataOffset: number;
  dataBytes: number;
  level: number;
}): Buffer {
  const roles = 128;
  const sb = Buffer.alloc(256 + 2 * roles);
  sb.writeUInt32LE(MD_MAGIC, 0);
  sb.writeUInt32LE(1, 4);
  sb.fill(0x5a, 16, 32);
  sb.write("host:0", 32, "latin1");
  sb.writeUInt32LE(1_795_856_097, 64);
  sb.writeUInt32LE(level, 72);
  sb.writeBigUInt64LE(BigInt(Math.floor(dataBytes / KIB) * 2), 80);
  sb.writeUInt32LE(level === 0 ? 1024 : 0, 88);
  sb.writeUInt32LE(2, 92);
  sb.writeBigUInt64LE(BigInt(dataOffset / SECTOR_BYTES), 128);
  sb.writeBigUInt64LE(BigInt(Math.floor(dataBytes / SECTOR_BYTES)), 136);
  sb.writeBigUInt64LE(BigInt(offset / SECTOR_BYTES), 144);
  sb.fill(0xa5, 168, 184);
  sb.writeBigUInt64LE(1_795_856_098n, 192);
  sb.writeBigUInt64LE(20n, 200);
  sb.writeBigUInt64LE(2n ** 64n - 1n, 208);
  sb.writeUInt32LE(roles, 220);
  for (let role = 0; role < roles; role++) sb.writeUInt16LE(role < 2 ? role : 0xffff, 256 + 2 * role);
  let sum = 0;
  for (let at = 0; at < sb.length; at += 4) sum += sb.readUInt32LE(at);
  sb.writeUInt32LE(folded(sum), 216);
  return sb;
}

/** 32 bits of a sum, with the overflow added. */
function folded(sum: number): number {
  return ((sum % 2 ** 32) + Math.floor(sum / 2 ** 32)) % 2 ** 32;
}

/** The four labels of a ZFS device, two at either end, each with its ring of uberblocks (`vdev_impl.h`). */
function writeZfsLabels(region: Region): void {
  const labelBytes = 256 * KIB;
  const end = Math.floor(region.sizeBytes / labelBytes) * labelBytes;
  for (const label of [0, labelBytes, end - 2 * labelBytes, end - labelBytes]) {
    for (let slot = 0; slot < 8; slot++) {
      const uberblock = Buffer.alloc(KIB);
      uberblock.writeBigUInt64LE(0x00bab10cn, 0);
      uberblock.writeBigUInt64LE(5000n, 8);
      uberblock.writeBigUInt64LE(BigInt(100 + slot), 16);
      region.write(label + 128 * KIB + slot * KIB, uberblock);
    }
  }
}

/** Bytes at a position; a negative one counts from the end. */
function signature(type: string, ...places: [number, string | Buffer][]): Member {
  return {
    type,
    leastBytes: 4 * 2 ** 20,
    write(region) {
      for (const [offset, bytes] of places) {
        const from = offset < 0 ? region.sizeBytes + offset : offset;
        region.write(from, Buffer.from(bytes as string, "latin1"));
      }
    },
  };
}

/** DRBD's metadata at the end of its device (`drbd_int.h`), with the magic number of version 8.4. */
function writeDrbd(region: Region): void {
  const block = Buffer.alloc(4 * KIB);
  block.writeBigUInt64BE(BigInt(region.sizeBytes / SECTOR_BYTES - 64), 0);
  block.fill(7, 8, 48);
  block.writeUInt32BE(0x8374026c, 60);
  region.write(region.sizeBytes - block.length, block);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

const DDF_HEADER = Buffer.concat([
  Buffer.from("de11de11", "hex"),
  Buffer.alloc(4),
  Buffer.from("LSI     0123456789abcdef", "latin1"),
  Buffer.from("01.02.00", "latin1"),
]);

/** Structures that take a region as a whole. `blkid` reads each of them so: see the test. */
export const MEMBERS: readonly Member[] = [
  { type: "zfs_member", leastBytes: 64 * 2 ** 20, write: writeZfsLabels },
  { type: "drbd", leastBytes: 2 ** 20, write: writeDrbd },
  signature("isw_raid_member", [-1024, "Intel Raid ISM Cfg Sig. 1.3.00"]),
  signature("ddf_raid_member", [-512, DDF_HEADER]),
  signature("VMFS_volume_member", [2 ** 20, Buffer.from("0dd001c0", "hex")]),
  signature("VMFS", [2 * 2 ** 20, Buffer.from("5ef1ab2f", "hex")]),
  signature("ufs", [64 * KIB + 1372, uint32(0x19540119)]),
  signature("ceph_bluestore", [0, "bluestore block device"]),
  signature("vdo", [0, "dmvdo001"]),
  signature("oracleasm", [32, "ORCLDISK"]),
];
