import { crc32 } from "node:zlib";
import type { FileSystem } from "../file-system.ts";
import { describeIso } from "../signatures/describe.ts";
import {
  anyOf,
  eitherEndian,
  end,
  hex,
  isPowerOfTwo,
  KIB,
  MIB,
  start,
  text,
} from "../signatures/signature.ts";

/** UFS1, UFS2 while it is made and finished, and the variants of HP-UX and SunOS. */
const UFS_MAGICS = [0x00011954, 0x19540119, 0x19960408, 0x00195612, 0x00095014, 0x00612195, 0x05231994];
const VOLUME_STRUCTURES = ["BEA01", "BOOT2", "CDW02", "NSR02", "NSR03", "TEA01"];

/** Parts of an XFS that have a volume of their own. */
export const xfsParts: FileSystem = {
  signatures: [
    { type: "xfs_realtime", at: start(0), magic: text("Frog") },
    {
      type: "xfs_external_log",
      // A ring: it may begin in the middle of a record, the longest of which has 256 KiB.
      at: start(...Array.from({ length: 512 }, (_, sector) => sector * 512)),
      magic: hex("feedbabe"),
      check: (record) =>
        [1, 2].includes(record.readUInt32BE(8)) && [1, 2, 3].includes(record.readUInt32BE(300)),
    },
  ],
};

/** File systems of Windows besides NTFS, exFAT and FAT. */
export const windowsOnly: FileSystem = {
  signatures: [{ type: "ReFS", at: anyOf(start(0), end(512)), magic: text("\0\0\0ReFS\0") }],
};

/** File systems that are recognised and nothing else: all of such a volume is copied. */
export const detectedOnly: FileSystem = {
  signatures: [
    { type: "f2fs", at: start(KIB, 5 * KIB), magic: hex("1020f5f2") },
    {
      type: "nilfs2",
      at: anyOf(start(KIB), end(4 * KIB), end(4 * KIB, 4 * KIB)),
      magicAt: 6,
      magic: hex("3434"),
      length: KIB,
      check: isNilfs,
    },
    { type: "jfs", at: start(32 * KIB, 60 * KIB), magic: text("JFS1") },
    {
      type: "reiserfs",
      at: start(8 * KIB, 64 * KIB),
      magicAt: 52,
      magic: text("ReIsErFs", "ReIsEr2F", "ReIsEr3F"),
    },
    { type: "reiserfs", at: start(8 * KIB), magicAt: 20, magic: text("ReIsErFs") },
    { type: "reiser4", at: start(64 * KIB), magic: text("ReIsEr4") },
    { type: "gfs2", at: start(64 * KIB), magic: hex("01161970") },
    { type: "ocfs2", at: start(KIB, 2 * KIB, 4 * KIB, 8 * KIB), magic: text("OCFSV2") },
    { type: "ocfs", at: start(8 * KIB), magic: text("OracleCFS") },
    { type: "VMFS", at: start(2 * MIB), magic: hex("5ef1ab2f") },
    {
      type: "ufs",
      at: start(0, 8 * KIB, 64 * KIB, 256 * KIB),
      magicAt: 1372,
      magic: eitherEndian(...UFS_MAGICS),
    },
    { type: "apfs", at: start(0), magicAt: 32, magic: text("NXSB") },
    {
      type: "hfs",
      at: anyOf(start(KIB), end(KIB)),
      magic: text("BD"),
      check: (block) => block.readUInt32BE(20) !== 0 && block.readUInt32BE(20) % 512 === 0,
    },
    {
      type: "hfsplus",
      at: anyOf(start(KIB), end(KIB)),
      magic: text("H+\0\x04", "HX\0\x05"),
      check: (header) => isPowerOfTwo(header.readUInt32BE(40)),
    },
    { type: "iso9660", at: start(32 * KIB), magicAt: 1, magic: text("CD001"), describe: describeIso },
    { type: "iso9660", at: start(32 * KIB), magicAt: 9, magic: text("CDROM") },
    { type: "udf", at: start(32 * KIB), magicAt: 1, magic: text(...VOLUME_STRUCTURES) },
    { type: "squashfs", at: start(0), magic: text("hsqs", "sqsh") },
    { type: "erofs", at: start(KIB), magic: hex("e2e1f5e0") },
    { type: "cramfs", at: start(0, 512), magic: eitherEndian(0x28cd3d45) },
    { type: "romfs", at: start(0), magic: text("-rom1fs-") },
    { type: "ubifs", at: start(0), magic: hex("31181006") },
    { type: "zonefs", at: start(0), magic: text("SFOZ") },
    {
      type: "minix",
      at: start(KIB),
      check: (superblock) => isMinix(superblock, false) || isMinix(superblock, true),
    },
    {
      type: "sysv",
      at: start(...[0, 9, 15, 18].map((block) => block * KIB + 512)),
      magicAt: 504,
      magic: eitherEndian(0xfd187e20),
    },
    { type: "xenix", at: start(KIB), magicAt: KIB, length: 2 * KIB, magic: hex("2b5544", "44552b") },
    // Behind its boot block, which leaves older superblocks in place.
    { type: "qnx6", at: start(8 * KIB), magic: eitherEndian(0x68191122) },
    { type: "hpfs", at: start(8 * KIB), magic: hex("49e895f9") },
    { type: "befs", at: start(0, 512), magicAt: 32, magic: text("BFS1", "1SFB") },
    { type: "bfs", at: start(0), magic: hex("cefaad1b") },
    { type: "vxfs", at: start(KIB), magic: hex("f5fc01a5") },
    { type: "vxfs", at: start(8 * KIB), magic: hex("a501fcf5") },
    { type: "nss", at: start(4 * KIB), magic: text("SPB5") },
    { type: "mpool", at: start(0), magic: text("mpoolDev") },
    { type: "scoutfs", at: start(64 * KIB), magicAt: 4, magic: hex("8b423c10") },
    { type: "exfs", at: start(0), magic: text("EXFS") },
    { type: "hammer", at: start(0), magic: hex("313052c54d4d41c8", "c8414d4dc5523031") },
    { type: "hammer2", at: start(0), magic: hex("11201705324d4148", "48414d3205172011") },
  ],
};

/** Two bytes of magic are too few: the checksum counts. */
function isNilfs(superblock: Buffer): boolean {
  const length = superblock.readUInt16LE(8);
  if (length < 20 || length > KIB) return false;
  const checked = Buffer.from(superblock.subarray(0, length));
  checked.writeUInt32LE(0, 16);
  const seed = superblock.readUInt32LE(12);
  return ~crc32(checked, ~seed >>> 0) >>> 0 === superblock.readUInt32LE(16);
}

/**
 * Two bytes of magic are too few: counts must agree, as its own fsck wants them. Its place is that of other
 * superblocks too.
 */
function isMinix(sb: Buffer, bigEndian: boolean): boolean {
  const u16 = (at: number) => (bigEndian ? sb.readUInt16BE(at) : sb.readUInt16LE(at));
  const u32 = (at: number) => (bigEndian ? sb.readUInt32BE(at) : sb.readUInt32LE(at));
  if (sb.readUInt16LE(0x38) === 0xef53 || sb.readUInt32LE(0) === 0xe0f5e1e2) return false;
  const isOld = [0x137f, 0x138f, 0x2468, 0x2478].includes(u16(16));
  const isThird = !isOld && u16(24) === 0x4d5a;
  if (!isOld && !isThird) return false;
  const isSecond = isOld && u16(16) >= 0x2468;
  const inodes = isThird ? u32(0) : u16(0);
  const zones = isThird || isSecond ? u32(20) : u16(2);
  const [inodeMaps, zoneMaps, firstZone] = isThird ? [u16(6), u16(8), u16(10)] : [u16(4), u16(6), u16(8)];
  const zoneShift = isThird ? u16(12) : u16(10);
  return (
    zoneShift === 0 &&
    inodes > 0 &&
    inodeMaps * 8192 > inodes &&
    firstZone <= zones &&
    zoneMaps * 8192 > zones - firstZone
  );
}
