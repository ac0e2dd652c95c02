import { isFat } from "../descriptors/fat.ts";
import { describesItself, isMasterBootRecord } from "../mbr.ts";
import { anyOf, end, hex, KIB, type Place, SECTOR_BYTES, type Signature, start, text } from "./signature.ts";

const DASD_LABELS = start(...[512, 1024, 2048, 4096].map((blockBytes) => 2 * blockBytes));

/**
 * Partition tables. GPT and MBR are read, and are a second reading anywhere but at their position on the
 * disk; the others are only detected.
 */
export const TABLE_SIGNATURES: readonly Signature[] = [
  {
    type: "dos",
    at: start(0),
    check: (sector, { sizeBytes }) =>
      isMasterBootRecord(sector, sizeBytes) && !(isFat(sector) && describesItself(sector)),
  },
  { type: "gpt", at: anyOf(start(512, 4096), end(512), end(4096, 4096)), magic: text("EFI PART") },
  // Windows' Logical Disk Manager: in sector 6, and twice in the last MiB, which holds its database.
  {
    type: "ldm",
    at: anyOf(start(6 * SECTOR_BYTES), end(192 * SECTOR_BYTES), end(SECTOR_BYTES)),
    magic: text("PRIVHEAD"),
  },
  { type: "bsd", at: start(64, 128, 512), magic: hex("57455682") },
  { type: "dragonfly", at: start(0, 512), magic: hex("594c46c4") },
  { type: "solaris", at: start(512), magicAt: 12, magic: hex("eede0d60") },
  // Linux looks for 0xca5e600d, libblkid for the same with two digits swapped.
  { type: "unixware", at: start(29 * SECTOR_BYTES), magicAt: 4, magic: hex("0d605eca", "0d60e5ca") },
  {
    type: "ultrix",
    at: start(16 * KIB - 72),
    magic: hex("57290300"),
    check: (label) => label.readUInt32LE(4) === 1,
  },
  { type: "sun", at: start(0), magicAt: 508, magic: hex("dabe"), check: (sector) => xor16(sector) === 0 },
  { type: "sgi", at: start(0), magic: hex("0be5a941") },
  { type: "aix", at: start(0), magic: hex("c9c2d4c1") },
  { type: "mac", at: start(0), magic: text("ER"), length: 4 * KIB, check: isMac },
  { type: "atari", at: start(0), check: isAtari },
  {
    type: "amiga",
    at: start(...Array.from({ length: 16 }, (_, sector) => sector * SECTOR_BYTES)),
    magic: text("RDSK"),
  },
  // Of IBM's mainframes, in block 2: VOL1 as z/OS writes it, LNX1 and CMS1 of Linux and CMS, in EBCDIC.
  { type: "dasd", at: DASD_LABELS, magicAt: 4, magic: hex("e5d6d3f1") },
  { type: "dasd", at: DASD_LABELS, magic: hex("d3d5e7f1", "c3d4e2f1") },
  { type: "karma", at: start(0), magicAt: 510, magic: hex("56ab"), check: isKarma },
  { type: "sysv68", at: start(0), magicAt: 248, magic: text("MOTOROLA") },
];

/** https://github.com/torvalds/linux/blob/master/block/partitions/karma.c: of Rio's players, two entries. */
function isKarma(sector: Buffer): boolean {
  return [270, 286].some((at) => sector.readUInt8(at + 4) === 0x4d && sector.readUInt32LE(at + 12) > 0);
}

function xor16(sector: Buffer): number {
  let value = 0;
  for (let offset = 0; offset < SECTOR_BYTES; offset += 2) value ^= sector.readUInt16BE(offset);
  return value;
}

/** The map itself begins one of the driver descriptor's blocks later. */
function isMac(head: Buffer): boolean {
  const blockBytes = head.readUInt16BE(2);
  return (
    [512, 1024, 2048].includes(blockBytes) &&
    /^(?:PM|TS)$/.test(head.toString("latin1", blockBytes, blockBytes + 2))
  );
}

/** It has no magic: the size must fit, and a partition must have three letters as its type. */
function isAtari(sector: Buffer, { sizeBytes }: Place): boolean {
  const sectors = sector.readUInt32BE(0x1c2);
  if (sectors < 2 || sectors * SECTOR_BYTES > sizeBytes) return false;
  return [0, 1, 2, 3].some((index) => {
    const entry = sector.subarray(0x1c6 + index * 12);
    const first = entry.readUInt32BE(4);
    const count = entry.readUInt32BE(8);
    return (
      (entry.readUInt8(0) & 1) === 1 &&
      /^[A-Za-z0-9]{3}$/.test(entry.toString("latin1", 1, 4)) &&
      first > 0 &&
      count > 0 &&
      first + count <= sectors
    );
  });
}
