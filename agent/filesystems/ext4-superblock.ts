import type { DiskReader } from "../disk/reader.ts";
import { crc32cRaw } from "./checksum.ts";
import { doubt, readMetadata, toNumber } from "./doubt.ts";

const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_BYTES = 1024;
const CHECKSUM_OFFSET = 0x3fc;
const ALL_ONES = 0xffff_ffff;

const COMPATIBLE = { journal: 0x4, sparseSuper2: 0x200 } as const;
const INCOMPATIBLE = {
  recover: 0x4,
  metaBg: 0x10,
  is64Bit: 0x80,
  multiMount: 0x100,
  checksumSeed: 0x2000,
  encrypt: 0x10000,
} as const;
const READ_ONLY = {
  sparseSuper: 0x1,
  groupChecksum: 0x10,
  bigalloc: 0x200,
  metadataChecksum: 0x400,
} as const;

/**
 * Features that do not change where free space is recorded, or that are handled here. Any other bit might, so
 * it is a doubt: compression, journal devices, snapshots and replicas, for example.
 */
const KNOWN_INCOMPATIBLE =
  0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;
const KNOWN_READ_ONLY =
  0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000;

const STATE_CLEAN = 1;
const STATE_ERRORS = 2;
/** The 15 numbers of the journal's inode that give its position. */
const JOURNAL_MAP_OFFSET = 0x10c;
const JOURNAL_MAGIC = 0xc03b3998;
const EXTENTS_MAGIC = 0xf30a;
const MULTI_MOUNT_MAGIC = 0x004d4d50;
const MULTI_MOUNT_CLEAN = 0xff4d4d50;

/** The parts of an ext2, ext3 or ext4 superblock that say where its free space is recorded. */
export interface Ext4Layout {
  blockBytes: number;
  blocks: number;
  firstDataBlock: number;
  blocksPerGroup: number;
  /** Blocks for each bit of a bitmap; more than one with bigalloc. */
  blocksPerCluster: number;
  clustersPerGroup: number;
  groups: number;
  inodeTableBlocks: number;
  descriptorBytes: number;
  reservedDescriptorBlocks: number;
  /** Descriptor blocks from this one on are in their own groups, not behind the superblock. */
  firstMetaGroup: number;
  descriptorChecksum: "none" | "crc16" | "crc32c";
  checksumSeed: number;
  uuid: Buffer;
  freeBlocks: number;
  /** Whether the group holds a copy of the superblock. */
  hasSuperblock(group: number): boolean;
}

/**
 * Reads the primary superblock; throws `DoubtError` unless the file system is cleanly unmounted and fully
 * understood.
 */
export async function readExt4Layout(reader: DiskReader): Promise<Ext4Layout> {
  const sb = await readMetadata(reader, SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES);
  if (sb.readUInt16LE(0x38) !== 0xef53) doubt("its superblock has no magic number");
  const features = requireKnownFeatures(sb);
  requireClean(sb, features);

  const is64Bit = (features.incompatible & INCOMPATIBLE.is64Bit) !== 0;
  const high = (offset: number) => (is64Bit ? sb.readUInt32LE(offset) * 2 ** 32 : 0);
  const blockBytes = power(10 + sb.readUInt32LE(0x18), 10, 16);
  const bigalloc = (features.readOnly & READ_ONLY.bigalloc) !== 0;
  const clusterBytes = bigalloc ? power(10 + sb.readUInt32LE(0x1c), 10, 29) : blockBytes;
  const blocks = sb.readUInt32LE(4) + high(0x150);
  const firstDataBlock = sb.readUInt32LE(0x14);
  const blocksPerGroup = sb.readUInt32LE(0x20);
  const clustersPerGroup = bigalloc ? sb.readUInt32LE(0x24) : blocksPerGroup;
  const blocksPerCluster = clusterBytes / blockBytes;
  if (clustersPerGroup === 0 || clustersPerGroup > blockBytes * 8)
    doubt("its groups are too large for a bitmap");
  if (blocksPerGroup !== clustersPerGroup * blocksPerCluster) doubt("its groups are not whole clusters");
  // With bigalloc and 1 KiB blocks it is 0, and the superblock is where nothing else expects it.
  if (firstDataBlock !== (blockBytes === 1024 ? 1 : 0)) doubt("it begins at an unusual block");
  if (blocks <= firstDataBlock) doubt("its size is out of range");
  if (blocks * blockBytes > reader.sizeBytes) doubt("it is larger than its volume");
  const descriptorBytes = is64Bit ? sb.readUInt16LE(0xfe) : 32;
  if (descriptorBytes < 32 || descriptorBytes > blockBytes || descriptorBytes % 32 !== 0) {
    doubt("its descriptors are out of range");
  }
  const inodeBytes = sb.readUInt32LE(0x4c) === 0 ? 128 : sb.readUInt16LE(0x58);
  const layout: Ext4Layout = {
    ...{
      blockBytes,
      blocks,
      firstDataBlock,
      blocksPerGroup,
      blocksPerCluster,
      clustersPerGroup,
      descriptorBytes,
    },
    groups: Math.ceil((blocks - firstDataBlock) / blocksPerGroup),
    inodeTableBlocks: Math.ceil((sb.readUInt32LE(0x28) * inodeBytes) / blockBytes),
    reservedDescriptorBlocks: sb.readUInt16LE(0xce),
    firstMetaGroup: features.incompatible & INCOMPATIBLE.metaBg ? sb.readUInt32LE(0x104) : Infinity,
    ...checksums(sb, features),
    uuid: sb.subarray(0x68, 0x78),
    freeBlocks: sb.readUInt32LE(0xc) + high(0x158),
    hasSuperblock: superblockRule(sb, features),
  };
  if ((features.compatible & COMPATIBLE.journal) !== 0) await requireEmptyJournal(reader, sb, layout);
  if ((features.incompatible & INCOMPATIBLE.multiMount) !== 0)
    await requireNowhereMounted(reader, sb, layout);
  return layout;
}

/** Whether folders of an ext4 can have names and files that only their owner's key shows. */
export async function mayHaveEncryptedFolders(reader: DiskReader): Promise<boolean> {
  const sb = await readMetadata(reader, SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES);
  return (sb.readUInt32LE(0x60) & INCOMPATIBLE.encrypt) !== 0;
}

interface Features {
  compatible: number;
  incompatible: number;
  readOnly: number;
}

function requireKnownFeatures(sb: Buffer): Features {
  const incompatible = sb.readUInt32LE(0x60);
  const readOnly = sb.readUInt32LE(0x64);
  if ((incompatible & ~KNOWN_INCOMPATIBLE) !== 0 || (readOnly & ~KNOWN_READ_ONLY) !== 0) {
    doubt("it has a feature that is not known here");
  }
  return { compatible: sb.readUInt32LE(0x5c), incompatible, readOnly };
}

function requireClean(sb: Buffer, { compatible, incompatible }: Features): void {
  const state = sb.readUInt16LE(0x3a);
  // Changes in the journal may allocate blocks that the bitmaps still call free.
  if ((incompatible & INCOMPATIBLE.recover) !== 0)
    doubt("it is mounted or was not unmounted: its journal is in use");
  if ((state & STATE_CLEAN) === 0) doubt("it is mounted or was not unmounted");
  if ((state & STATE_ERRORS) !== 0) doubt("it is marked as having errors");
  const hasOwnJournal = sb.readUInt32LE(0xe0) !== 0;
  if ((compatible & COMPATIBLE.journal) !== 0 && !hasOwnJournal) doubt("its journal is on another device");
}

/**
 * The journal is far from the superblock, which has a copy of its position. Throws `DoubtError` if there is
 * no journal, or if it holds changes although the superblock says it does not.
 */
async function requireEmptyJournal(reader: DiskReader, sb: Buffer, layout: Ext4Layout): Promise<void> {
  const hasCopy = sb.readUInt8(0xfd) === 1;
  const block = hasCopy ? firstBlockOf(sb.subarray(JOURNAL_MAP_OFFSET)) : undefined;
  if (block === undefined) return;
  const journal = await readMetadata(reader, block * layout.blockBytes, 1024);
  if (journal.readUInt32BE(0) !== JOURNAL_MAGIC) doubt("its journal is missing");
  if (journal.readUInt32BE(0x1c) !== 0) doubt("it is mounted or was not unmounted: its journal is in use");
}

/**
 * The first block of a file by the block map of its inode; `undefined` if a tree of extents has further
 * levels.
 */
function firstBlockOf(map: Buffer): number | undefined {
  if (map.readUInt16LE(0) !== EXTENTS_MAGIC) return map.readUInt32LE(0);
  if (map.readUInt16LE(6) !== 0) return undefined;
  return map.readUInt32LE(20) + map.readUInt16LE(18) * 2 ** 32;
}

/** With multiple mount protection, a separate block says whether any machine has it mounted. */
async function requireNowhereMounted(reader: DiskReader, sb: Buffer, layout: Ext4Layout): Promise<void> {
  const block = toNumber(sb.readBigUInt64LE(0x168));
  const protection = await readMetadata(reader, block * layout.blockBytes, 1024);
  if (protection.readUInt32LE(0) !== MULTI_MOUNT_MAGIC) doubt("its multiple mount protection is damaged");
  if (protection.readUInt32LE(4) !== MULTI_MOUNT_CLEAN) doubt("it is mounted, perhaps by another machine");
}

function checksums(
  sb: Buffer,
  { incompatible, readOnly }: Features,
): Pick<Ext4Layout, "descriptorChecksum" | "checksumSeed"> {
  if ((readOnly & READ_ONLY.metadataChecksum) === 0) {
    return { descriptorChecksum: readOnly & READ_ONLY.groupChecksum ? "crc16" : "none", checksumSeed: 0 };
  }
  if (crc32cRaw(ALL_ONES, sb.subarray(0, CHECKSUM_OFFSET)) !== sb.readUInt32LE(CHECKSUM_OFFSET)) {
    doubt("the checksum of its superblock is wrong");
  }
  const ownSeed = (incompatible & INCOMPATIBLE.checksumSeed) !== 0;
  const checksumSeed = ownSeed ? sb.readUInt32LE(0x270) : crc32cRaw(ALL_ONES, sb.subarray(0x68, 0x78));
  return { descriptorChecksum: "crc32c", checksumSeed };
}

function superblockRule(sb: Buffer, { compatible, readOnly }: Features): (group: number) => boolean {
  if ((compatible & COMPATIBLE.sparseSuper2) !== 0) {
    const backups = [0, sb.readUInt32LE(0x24c), sb.readUInt32LE(0x250)];
    return (group) => backups.includes(group);
  }
  if ((readOnly & READ_ONLY.sparseSuper) === 0) return () => true;
  return (group) => group <= 1 || [3, 5, 7].some((base) => isPower(group, base));
}

function isPower(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

function power(exponent: number, min: number, max: number): number {
  if (exponent < min || exponent > max) doubt("its block size is out of range");
  return 2 ** exponent;
}
