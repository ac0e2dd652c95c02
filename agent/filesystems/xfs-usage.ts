import type { DiskReader } from "../disk/reader.ts";
import { crc32c } from "./checksum.ts";
import { doubt, readMetadata, toNumber } from "./doubt.ts";
import type { MarkUsed } from "./mark-used.ts";
import type { XfsLayout } from "./xfs-layout.ts";
import { requireCleanXfsLog } from "./xfs-log.ts";

/** Free inode tree, reverse map, reference counts, inode tree counts. */
const KNOWN_READ_ONLY = 0x1 | 0x2 | 0x4 | 0x8;
/**
 * File types, sparse inodes, own metadata UUID, big timestamps, large extent counters, exchange, parent
 * pointers; but not "needs repair".
 */
const KNOWN_INCOMPATIBLE = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80;

const OWN_METADATA_UUID = 0x4;

const SUPERBLOCK_CHECKSUM_OFFSET = 224;
const AGF_CHECKSUM_OFFSET = 216;

/**
 * Marks what an XFS file system uses of its volume: everything except the records of each allocation group's
 * free-space tree (by block number), and the bytes behind the file system. Throws `DoubtError` unless its log
 * ends with an unmount record and all counts agree.
 */
export async function markXfsUsed(reader: DiskReader, mark: MarkUsed): Promise<void> {
  const layout = await readXfsLayout(reader);
  await requireCleanXfsLog(reader, layout);
  // Free records come in ascending order; what is between them is used.
  let position = 0;
  const skipFree = (offset: number, length: number) => {
    mark(position, offset - position);
    position = offset + length;
  };
  for (let group = 0; group < layout.groups; group++) await readFree(reader, layout, group, skipFree);
  mark(position, reader.sizeBytes - position);
}

async function readXfsLayout(reader: DiskReader): Promise<XfsLayout> {
  const sb = await readMetadata(reader, 0, 512);
  if (sb.toString("latin1", 0, 4) !== "XFSB") doubt("its superblock has no magic number");
  const version = sb.readUInt16BE(100) & 0xf;
  if (version !== 4 && version !== 5) doubt("it is of an unknown version");
  const layout: XfsLayout = {
    version,
    blockBytes: sb.readUInt32BE(4),
    sectorBytes: sb.readUInt16BE(102),
    uuid: sb.subarray(32, 48),
    metadataUuid:
      (sb.readUInt32BE(216) & OWN_METADATA_UUID) !== 0 ? sb.subarray(248, 264) : sb.subarray(32, 48),
    blocks: toNumber(sb.readBigUInt64BE(8)),
    groupBlocks: sb.readUInt32BE(84),
    groupBlocksLog: sb.readUInt8(124),
    groups: sb.readUInt32BE(88),
    logStart: sb.readBigUInt64BE(48),
    logBlocks: sb.readUInt32BE(96),
  };
  requirePlausible(layout, reader.sizeBytes);
  if (sb.readUInt8(126) !== 0) doubt("it was never completed");
  if (sb.readBigUInt64BE(16) !== 0n) doubt("a part of it is on a real-time device");
  if (version === 5) {
    const known = (sb.readUInt32BE(212) & ~KNOWN_READ_ONLY) === 0;
    if (!known || (sb.readUInt32BE(216) & ~KNOWN_INCOMPATIBLE) !== 0) {
      doubt("it has a feature that is not known here");
    }
    const sector = await readMetadata(reader, 0, layout.sectorBytes);
    verifyChecksum(sector, SUPERBLOCK_CHECKSUM_OFFSET, "superblock");
  }
  return layout;
}

function requirePlausible(layout: XfsLayout, sizeBytes: number): void {
  const { blockBytes, sectorBytes, blocks, groupBlocks, groups } = layout;
  const isPowerOfTwo = (value: number) => Number.isInteger(Math.log2(value));
  if (blockBytes < 512 || blockBytes > 65_536 || !isPowerOfTwo(blockBytes))
    doubt("its block size is out of range");
  if (sectorBytes < 512 || sectorBytes > blockBytes || !isPowerOfTwo(sectorBytes)) {
    doubt("its sector size is out of range");
  }
  if (blocks * blockBytes > sizeBytes) doubt("it is larger than its volume");
  if (groupBlocks === 0 || groups !== Math.ceil(blocks / groupBlocks)) doubt("its groups do not add up");
  if (2 ** layout.groupBlocksLog < groupBlocks) doubt("its groups do not add up");
}

type OnFree = (offset: number, length: number) => void;

/** Yields the free stretches of one allocation group, in bytes of the volume. */
async function readFree(reader: DiskReader, layout: XfsLayout, group: number, onFree: OnFree): Promise<void> {
  const { blockBytes, sectorBytes, groupBlocks } = layout;
  const start = group * groupBlocks * blockBytes;
  const copy = await readMetadata(reader, start, 512);
  // Copies are spread over the volume: if one is not its own, something else has been written there.
  if (copy.toString("latin1", 0, 4) !== "XFSB" || !copy.subarray(32, 48).equals(layout.uuid)) {
    doubt(`the copy of its superblock in group ${group} is missing`);
  }
  const agf = await readMetadata(reader, start + sectorBytes, sectorBytes);
  if (agf.toString("latin1", 0, 4) !== "XAGF") doubt(`group ${group} has no header`);
  if (layout.version === 5) {
    verifyChecksum(agf, AGF_CHECKSUM_OFFSET, `group ${group}`);
    if (!agf.subarray(64, 80).equals(layout.metadataUuid))
      doubt(`group ${group} belongs to another file system`);
  }
  const blocks = Math.min(groupBlocks, layout.blocks - group * groupBlocks);
  if (agf.readUInt32BE(8) !== group || agf.readUInt32BE(12) !== blocks)
    doubt(`group ${group} has a wrong header`);

  const tree = new FreeSpaceTree(reader, layout, { start, blocks }, onFree);
  await tree.walk(agf.readUInt32BE(16), agf.readUInt32BE(28) - 1);
  if (tree.freeBlocks !== agf.readUInt32BE(52))
    doubt(`the free count of group ${group} differs from its tree`);
}

/** The free-space B-tree by block number of one allocation group. */
class FreeSpaceTree {
  freeBlocks = 0;
  readonly #reader: DiskReader;
  readonly #layout: XfsLayout;
  readonly #group: { start: number; blocks: number };
  readonly #onFree: OnFree;
  readonly #visited = new Set<number>();
  #end = 0;

  constructor(
    reader: DiskReader,
    layout: XfsLayout,
    group: { start: number; blocks: number },
    onFree: OnFree,
  ) {
    this.#reader = reader;
    this.#layout = layout;
    this.#group = group;
    this.#onFree = onFree;
  }

  async walk(block: number, level: number): Promise<void> {
    const { blockBytes, version } = this.#layout;
    if (level < 0 || level > 9 || block === 0 || block >= this.#group.blocks || this.#visited.has(block)) {
      doubt("its free-space tree is damaged");
    }
    this.#visited.add(block);
    const node = await readMetadata(this.#reader, this.#group.start + block * blockBytes, blockBytes);
    const magic = node.toString("latin1", 0, 4);
    if (magic !== (version === 5 ? "AB3B" : "ABTB") || node.readUInt16BE(4) !== level) {
      doubt("its free-space tree is damaged");
    }
    if (version === 5) this.#verifyOwner(node, this.#group.start + block * blockBytes);
    const headerBytes = version === 5 ? 56 : 16;
    const records = node.readUInt16BE(6);
    const recordBytes = level === 0 ? 8 : 12;
    const limit = Math.floor((blockBytes - headerBytes) / recordBytes);
    if (records > limit) doubt("its free-space tree is damaged");
    if (level === 0) return this.#readLeaf(node, headerBytes, records);
    const pointers = headerBytes + limit * 8;
    for (let index = 0; index < records; index++) {
      await this.walk(node.readUInt32BE(pointers + index * 4), level - 1);
    }
  }

  /** In version 5, each block gives its own position and its file system. */
  #verifyOwner(node: Buffer, offset: number): void {
    verifyChecksum(node, 52, "free-space tree");
    const isOwn =
      node.readBigUInt64BE(16) === BigInt(offset / 512) &&
      node.subarray(32, 48).equals(this.#layout.metadataUuid);
    if (!isOwn) doubt("its free-space tree belongs elsewhere");
  }

  #readLeaf(node: Buffer, headerBytes: number, records: number): void {
    for (let index = 0; index < records; index++) {
      const offset = node.readUInt32BE(headerBytes + index * 8);
      const length = node.readUInt32BE(headerBytes + index * 8 + 4);
      if (offset < this.#end || length === 0 || offset + length > this.#group.blocks) {
        doubt("its free-space tree is damaged");
      }
      this.#end = offset + length;
      this.freeBlocks += length;
      const { blockBytes } = this.#layout;
      this.#onFree(this.#group.start + offset * blockBytes, length * blockBytes);
    }
  }
}

/**
 * The stored checksum counts as zeros while it is computed, and is little-endian in a big-endian structure.
 */
function verifyChecksum(bytes: Buffer, offset: number, what: string): void {
  const checked = Buffer.from(bytes);
  checked.writeUInt32LE(0, offset);
  if (crc32c(checked) !== bytes.readUInt32LE(offset)) doubt(`the checksum of its ${what} is wrong`);
}
