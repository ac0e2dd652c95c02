/**
 * The parts of the qcow2 format (version 3) that we write; the reader refuses everything else. All integers
 * are big-endian.
 *
 * A disk is divided into clusters. The L1 table gives the positions of L2 tables; an L2 table gives the file
 * offset of each of its clusters, 0 if the cluster was never written. Every cluster of the file has a
 * reference count, here always 1.
 */
import { ImageUnreadableError } from "#shared/errors.ts";

export const CLUSTER_BITS = 16;
export const CLUSTER_BYTES = 2 ** CLUSTER_BITS;
export const ENTRY_BYTES = 8;

const MAGIC = 0x514649fb;
const VERSION = 3;
const REFERENCE_COUNT_ORDER = 4;
export const HEADER_BYTES = 104;

/** Set in L1 and L2 entries: the reference count is exactly one, so a writer need not look it up. */
const COPIED = 1n << 63n;
const COMPRESSED = 1n << 62n;
const READS_AS_ZEROS = 1n;
const OFFSET_MASK = 0x00ff_ffff_ffff_fe00n;

export interface Qcow2Header {
  sizeBytes: number;
  clusterBits: number;
  l1Entries: number;
  l1Offset: number;
  referenceTableOffset: number;
  referenceTableClusters: number;
}

export function encodeHeader(header: Qcow2Header): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + 8); // An empty list of header extensions follows.
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(VERSION, 4);
  bytes.writeUInt32BE(header.clusterBits, 20);
  bytes.writeBigUInt64BE(BigInt(header.sizeBytes), 24);
  bytes.writeUInt32BE(header.l1Entries, 36);
  bytes.writeBigUInt64BE(BigInt(header.l1Offset), 40);
  bytes.writeBigUInt64BE(BigInt(header.referenceTableOffset), 48);
  bytes.writeUInt32BE(header.referenceTableClusters, 56);
  bytes.writeUInt32BE(REFERENCE_COUNT_ORDER, 96);
  bytes.writeUInt32BE(HEADER_BYTES, 100);
  return bytes;
}

/**
 * Throws `ImageUnreadableError` for anything but a plain, clean image: no backing file, encryption or feature
 * that changes the layout.
 */
export function decodeHeader(bytes: Buffer, path: string): Qcow2Header {
  const fail = (why: string): never => {
    throw new ImageUnreadableError(path, why);
  };
  if (bytes.readUInt32BE(0) !== MAGIC) fail("it is not a qcow2 image");
  const version = bytes.readUInt32BE(4);
  if (version !== 2 && version !== VERSION) fail(`version ${version} is unknown`);
  if (bytes.readBigUInt64BE(8) !== 0n) fail("it depends on a backing file");
  if (bytes.readUInt32BE(32) !== 0) fail("it is encrypted");
  if (version === VERSION && bytes.readBigUInt64BE(72) !== 0n)
    fail("it is dirty, damaged or uses an unknown feature");
  const header = {
    sizeBytes: Number(bytes.readBigUInt64BE(24)),
    clusterBits: bytes.readUInt32BE(20),
    l1Entries: bytes.readUInt32BE(36),
    l1Offset: Number(bytes.readBigUInt64BE(40)),
    referenceTableOffset: Number(bytes.readBigUInt64BE(48)),
    referenceTableClusters: bytes.readUInt32BE(56),
  };
  if (header.clusterBits < 9 || header.clusterBits > 21) fail("its cluster size is out of range");
  const coveredPerTable = 2 ** (2 * header.clusterBits - 3);
  if (!Number.isSafeInteger(header.sizeBytes)) fail("its size is out of range");
  if (header.l1Entries < Math.ceil(header.sizeBytes / coveredPerTable)) fail("its L1 table is too short");
  if (header.l1Entries > 2 ** 22) fail("its L1 table is too long");
  return header;
}

/** The entry for a table or cluster at this file offset, referenced once. */
export function encodeEntry(offset: number): bigint {
  return BigInt(offset) | COPIED;
}

/** The file offset, or 0 if the cluster reads as zeros. */
export function decodeEntry(entry: bigint, path: string): number {
  if ((entry & COMPRESSED) !== 0n) throw new ImageUnreadableError(path, "it holds compressed clusters");
  if ((entry & READS_AS_ZEROS) !== 0n) return 0;
  return Number(entry & OFFSET_MASK);
}

/** How many clusters the reference counts take, for a file of `clusters` clusters without them. */
export function referenceCountSize(clusters: number): { blocks: number; tableClusters: number } {
  const countsPerBlock = CLUSTER_BYTES / 2;
  let blocks = 0;
  let tableClusters = 0;
  // The counts also count themselves; this ends after two or three rounds.
  for (;;) {
    const nextBlocks = Math.ceil((clusters + blocks + tableClusters) / countsPerBlock);
    const nextTable = Math.ceil((nextBlocks * ENTRY_BYTES) / CLUSTER_BYTES);
    if (nextBlocks === blocks && nextTable === tableClusters) return { blocks, tableClusters };
    blocks = nextBlocks;
    tableClusters = nextTable;
  }
}
