import type { DiskReader } from "../disk/reader.ts";
import { doubt, readMetadata } from "./doubt.ts";
import type { XfsLayout } from "./xfs-layout.ts";

/** The log is written in blocks of this size, whatever the file system's. */
const BASIC_BLOCK_BYTES = 512;
const RECORD_MAGIC = 0xfeedbabe;
const CHUNK_BYTES = 4 * 2 ** 20;
/** A record's header describes 32 KiB of it per basic block. */
const HEADER_COVERS_BYTES = 32 * 1024;
const UNMOUNT_TRANSACTION = 0x20;

/**
 * Throws `DoubtError` unless the newest record of the file system's log says that it was unmounted: changes
 * that are only in the log may have taken space that the free-space trees still call free.
 *
 * The log is a ring. Each basic block begins with the number of the round in which it was written, a record's
 * first block with a magic number and then the round; the newest record ends where the number decreases.
 */
export async function requireCleanXfsLog(reader: DiskReader, layout: XfsLayout): Promise<void> {
  if (layout.logStart === 0n) doubt("its log is on another device");
  const group = Number(layout.logStart >> BigInt(layout.groupBlocksLog));
  const block = Number(layout.logStart & ((1n << BigInt(layout.groupBlocksLog)) - 1n));
  const start = (group * layout.groupBlocks + block) * layout.blockBytes;
  const sizeBytes = layout.logBlocks * layout.blockBytes;
  if (sizeBytes === 0 || start + sizeBytes > reader.sizeBytes) doubt("its log is outside of it");

  const { head, record } = await findNewestRecord(reader, start, sizeBytes / BASIC_BLOCK_BYTES);
  const header = await readMetadata(reader, start + record * BASIC_BLOCK_BYTES, BASIC_BLOCK_BYTES);
  const recordBytes = header.readUInt32BE(12);
  const bufferBytes = header.readUInt32BE(320);
  const isVersion2 = (header.readUInt32BE(8) & 2) !== 0;
  const headerBlocks = isVersion2 ? Math.max(1, Math.ceil(bufferBytes / HEADER_COVERS_BYTES)) : 1;
  const end = record + headerBlocks + Math.ceil(recordBytes / BASIC_BLOCK_BYTES);
  const ringBlocks = sizeBytes / BASIC_BLOCK_BYTES;
  if (end % ringBlocks !== head % ringBlocks || header.readUInt32BE(40) !== 1) doubt(NOT_UNMOUNTED);
  const dataBlock = (record + headerBlocks) % ringBlocks;
  const operation = await readMetadata(reader, start + dataBlock * BASIC_BLOCK_BYTES, BASIC_BLOCK_BYTES);
  if ((operation.readUInt8(9) & UNMOUNT_TRANSACTION) === 0) doubt(NOT_UNMOUNTED);
}
const NOT_UNMOUNTED = "it is mounted or was not unmounted: its log is in use";

/** `head`: the block after the newest one written; `record`: where the newest record begins. */
async function findNewestRecord(
  reader: DiskReader,
  start: number,
  blocks: number,
): Promise<{ head: number; record: number }> {
  let firstRound: number | undefined;
  let head: number | undefined;
  /**
   * The last record before the head, and the last one of all, which is from the previous round if the head is
   * at the very beginning.
   */
  let newest: number | undefined;
  let last: number | undefined;
  for (let base = 0; base < blocks; base += CHUNK_BYTES / BASIC_BLOCK_BYTES) {
    const count = Math.min(blocks - base, CHUNK_BYTES / BASIC_BLOCK_BYTES);
    const chunk = await readMetadata(reader, start + base * BASIC_BLOCK_BYTES, count * BASIC_BLOCK_BYTES);
    for (let index = 0; index < count; index++) {
      const first = chunk.readUInt32BE(index * BASIC_BLOCK_BYTES);
      const isRecord = first === RECORD_MAGIC;
      const round = isRecord ? chunk.readUInt32BE(index * BASIC_BLOCK_BYTES + 4) : first;
      firstRound ??= round;
      if (head === undefined && round !== firstRound) head = base + index;
      if (isRecord) last = base + index;
      if (isRecord && head === undefined) newest = base + index;
    }
  }
  const record = newest ?? last;
  if (record === undefined) doubt("its log holds no record");
  return { head: head ?? 0, record };
}
