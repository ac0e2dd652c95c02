import type { DiskReader } from "../disk/reader.ts";
import { markSetBits } from "./bitmap.ts";
import { crc16, crc32cRaw } from "./checksum.ts";
import { doubt, readMetadata, toNumber } from "./doubt.ts";
import { type Ext4Layout, readExt4Layout, SUPERBLOCK_BYTES } from "./ext4-superblock.ts";
import type { MarkUsed } from "./mark-used.ts";

const BLOCK_BITMAP_UNINITIALISED = 2;

interface Group {
  number: number;
  blockBitmap: number;
  inodeBitmap: number;
  inodeTable: number;
  freeClusters: number;
  bitmapUninitialised: boolean;
  /** The low 16 bits, or all 32 if the descriptor has room for them. */
  bitmapChecksum: number;
  bitmapChecksumBits: 16 | 32;
}

/**
 * Marks what an ext2, ext3 or ext4 file system uses of its volume: what its block bitmaps say, all its
 * metadata, and everything outside of it. Throws `DoubtError` for anything that a clean file system does not
 * have; free counts must agree with the bitmaps.
 */
export async function markExt4Used(reader: DiskReader, mark: MarkUsed): Promise<void> {
  const layout = await readExt4Layout(reader);
  const { blockBytes, blocks, firstDataBlock } = layout;
  // Clusters, and the tables of a damaged group, can reach beyond the last block.
  const markClipped: MarkUsed = (offset, length) => {
    if (offset < reader.sizeBytes) mark(offset, Math.min(length, reader.sizeBytes - offset));
  };
  // The boot block before a file system with 1 KiB blocks, and the bytes behind the last block.
  mark(0, firstDataBlock * blockBytes);
  const end = blocks * blockBytes;
  mark(end, reader.sizeBytes - end);
  let freeBlocks = 0;
  for await (const group of readGroups(reader, layout)) {
    if (layout.hasSuperblock(group.number)) await requireCopy(reader, layout, group.number);
    markMetadata(markClipped, layout, group);
    freeBlocks += group.freeClusters * layout.blocksPerCluster;
    if (!group.bitmapUninitialised) await markGroup(markClipped, reader, layout, group);
  }
  if (freeBlocks !== layout.freeBlocks) doubt("the free space of its groups and of its superblock differ");
}

/**
 * Copies of the superblock are spread over the volume: if one is not its own, something else has been written
 * there.
 */
async function requireCopy(reader: DiskReader, layout: Ext4Layout, group: number): Promise<void> {
  if (group === 0) return;
  const copy = await readMetadata(reader, firstBlock(layout, group) * layout.blockBytes, SUPERBLOCK_BYTES);
  const isOwn = copy.readUInt16LE(0x38) === 0xef53 && copy.subarray(0x68, 0x78).equals(layout.uuid);
  if (!isOwn) doubt(`the copy of its superblock in group ${group} is missing`);
}

async function* readGroups(reader: DiskReader, layout: Ext4Layout): AsyncGenerator<Group> {
  const { blockBytes, descriptorBytes, groups } = layout;
  const perBlock = Math.floor(blockBytes / descriptorBytes);
  for (let block = 0; block * perBlock < groups; block++) {
    const table = await readMetadata(
      reader,
      descriptorBlock(layout, block, perBlock) * blockBytes,
      blockBytes,
    );
    for (let index = 0; index < perBlock && block * perBlock + index < groups; index++) {
      const descriptor = table.subarray(index * descriptorBytes, (index + 1) * descriptorBytes);
      yield parseGroup(layout, descriptor, block * perBlock + index);
    }
  }
}

/** The position of the n-th block of group descriptors. */
function descriptorBlock(layout: Ext4Layout, block: number, perBlock: number): number {
  if (block < layout.firstMetaGroup) return layout.firstDataBlock + 1 + block;
  const group = block * perBlock;
  return firstBlock(layout, group) + (layout.hasSuperblock(group) ? 1 : 0);
}

function parseGroup(layout: Ext4Layout, descriptor: Buffer, number: number): Group {
  verifyDescriptor(layout, descriptor, number);
  const wide = layout.descriptorBytes >= 64;
  const block = (low: number, high: number): number => {
    const value = descriptor.readUInt32LE(low) + (wide ? descriptor.readUInt32LE(high) * 2 ** 32 : 0);
    if (value < layout.firstDataBlock || value >= layout.blocks) doubt("a group's metadata is outside of it");
    return value;
  };
  return {
    number,
    blockBitmap: block(0, 0x20),
    inodeBitmap: block(4, 0x24),
    inodeTable: block(8, 0x28),
    freeClusters: descriptor.readUInt16LE(0xc) + (wide ? descriptor.readUInt16LE(0x2c) * 2 ** 16 : 0),
    bitmapUninitialised:
      layout.descriptorChecksum !== "none" &&
      (descriptor.readUInt16LE(0x12) & BLOCK_BITMAP_UNINITIALISED) !== 0,
    bitmapChecksum: descriptor.readUInt16LE(0x18) + (wide ? descriptor.readUInt16LE(0x38) * 2 ** 16 : 0),
    bitmapChecksumBits: wide ? 32 : 16,
  };
}

function verifyDescriptor(layout: Ext4Layout, descriptor: Buffer, number: number): void {
  if (layout.descriptorChecksum === "none") return;
  const group = Buffer.alloc(4);
  group.writeUInt32LE(number);
  const stored = descriptor.readUInt16LE(0x1e);
  const before = descriptor.subarray(0, 0x1e);
  const after = descriptor.subarray(0x20);
  let computed: number;
  if (layout.descriptorChecksum === "crc16") {
    computed = [layout.uuid, group, before, after].reduce(crc16, 0xffff);
  } else {
    computed = [group, before, Buffer.alloc(2), after].reduce(crc32cRaw, layout.checksumSeed) & 0xffff;
  }
  if (computed !== stored) doubt(`the checksum of its group ${number} is wrong`);
}

async function markGroup(
  mark: MarkUsed,
  reader: DiskReader,
  layout: Ext4Layout,
  group: Group,
): Promise<void> {
  const { blockBytes, blocksPerCluster, clustersPerGroup } = layout;
  const bitmap = await readMetadata(reader, group.blockBitmap * blockBytes, blockBytes);
  verifyBitmap(layout, bitmap, group);
  const first = firstBlock(layout, group.number);
  const blocks = Math.min(layout.blocksPerGroup, layout.blocks - first);
  const bits = Math.ceil(blocks / blocksPerCluster);
  const clusterBytes = blockBytes * blocksPerCluster;
  const set = markSetBits(mark, bitmap, { bits, offset: first * blockBytes, unitBytes: clusterBytes });
  if (clustersPerGroup < bits || bits - set !== group.freeClusters) {
    doubt(`the free count of its group ${group.number} differs from the bitmap`);
  }
}

function verifyBitmap(layout: Ext4Layout, bitmap: Buffer, group: Group): void {
  if (layout.descriptorChecksum !== "crc32c") return;
  const computed = crc32cRaw(
    layout.checksumSeed,
    bitmap.subarray(0, Math.floor(layout.clustersPerGroup / 8)),
  );
  const compared = group.bitmapChecksumBits === 32 ? computed : computed & 0xffff;
  if (compared !== group.bitmapChecksum) doubt(`the checksum of group ${group.number}'s bitmap is wrong`);
}

/**
 * A group's own metadata. Redundant if the bitmap was read, needed if it is not initialised: then the group
 * uses only this, and what other groups keep there.
 */
function markMetadata(mark: MarkUsed, layout: Ext4Layout, group: Group): void {
  const { blockBytes } = layout;
  const add = (block: number, count: number) => mark(block * blockBytes, count * blockBytes);
  add(group.blockBitmap, 1);
  add(group.inodeBitmap, 1);
  add(group.inodeTable, layout.inodeTableBlocks);
  const perBlock = Math.floor(blockBytes / layout.descriptorBytes);
  const first = firstBlock(layout, group.number);
  const copies = layout.hasSuperblock(group.number) ? 1 : 0;
  const metaGroup = Math.floor(group.number / perBlock);
  if (metaGroup < layout.firstMetaGroup) {
    const descriptorBlocks = Math.min(Math.ceil(layout.groups / perBlock), layout.firstMetaGroup);
    if (copies > 0) add(first, 1 + descriptorBlocks + layout.reservedDescriptorBlocks);
  } else {
    const holdsDescriptors = [0, 1, perBlock - 1].includes(group.number % perBlock);
    add(first, copies + (holdsDescriptors ? 1 : 0));
  }
}

function firstBlock(layout: Ext4Layout, group: number): number {
  return toNumber(BigInt(layout.firstDataBlock) + BigInt(group) * BigInt(layout.blocksPerGroup));
}
