import type { Extent } from "#shared/domain/extents.ts";
import type { DiskReader } from "../disk/reader.ts";
import { markSetBits } from "./bitmap.ts";
import { doubt } from "./doubt.ts";
import type { MarkUsed } from "./mark-used.ts";
import { applyFixups, type NtfsAttribute, NtfsVolume } from "./ntfs-volume.ts";

const RECORD = { logFile: 2, volume: 3, root: 5, bitmap: 6 } as const;
const ATTRIBUTE = { volumeInformation: 0x70, data: 0x80, indexRoot: 0x90, indexAllocation: 0xa0 } as const;
const VOLUME_DIRTY = 0x1;
/**
 * The log must be resized, the volume upgraded or its object ids repaired, or chkdsk was at work: Linux
 * mounts it read-only (`VOLUME_MUST_MOUNT_RO_MASK`).
 */
const VOLUME_UNFINISHED = 0xc026;
const LOG_CLEAN = 2;
const NO_LOG_CLIENT = 0xffff;
const HIBERNATION_FILE = /hiberfil\.sys/gi;
/** In an index entry, from its start to the file's name. */
const ENTRY_NAME_OFFSET = 0x52;
/** From its start to the number of characters in the name. */
const ENTRY_NAME_LENGTH_OFFSET = 0x50;
const INDEX_BLOCK_BYTES = 4096;
const CHUNK_BYTES = 2 ** 20;
const LOG_PAGE_BYTES = 4096;
const LARGEST_LOG_PAGE_BYTES = 64 * 1024;

/**
 * Marks what an NTFS file system uses of its volume: the set bits of `$Bitmap`, and the bytes behind its last
 * cluster (the backup boot sector). Throws `DoubtError` if Windows left it dirty, with work in its log, or
 * hibernated, because the newest bitmap is then not on the disk.
 */
export async function markNtfsUsed(reader: DiskReader, mark: MarkUsed): Promise<void> {
  const volume = await NtfsVolume.open(reader);
  await requireClean(volume);
  await requireNotHibernated(volume);
  await volume.requireCopies();

  const { clusterBytes, clusters } = volume;
  const bitmap = await volume.attribute(RECORD.bitmap, ATTRIBUTE.data);
  if (!bitmap) doubt("its $Bitmap has no data");
  if (bitmap.sizeBytes * 8 < clusters) doubt("its $Bitmap is too short");
  const bitsPerChunk = CHUNK_BYTES * 8;
  for (let first = 0; first < clusters; first += bitsPerChunk) {
    const bits = Math.min(bitsPerChunk, clusters - first);
    const bytes = await bitmap.read(first / 8, Math.ceil(bits / 8));
    markSetBits(mark, bytes, { bits, offset: first * clusterBytes, unitBytes: clusterBytes });
  }
  for (const extent of [{ offset: 0, length: clusterBytes }, ...volume.tableExtents, ...bitmap.extents]) {
    await requireUsed(bitmap, clusterBytes, extent);
  }
  const end = clusters * clusterBytes;
  mark(end, reader.sizeBytes - end);
}

async function requireClean(volume: NtfsVolume): Promise<void> {
  const information = await volume.attribute(RECORD.volume, ATTRIBUTE.volumeInformation);
  if (!information || information.sizeBytes < 12) doubt("it has no volume information");
  const flags = (await information.read(0, 12)).readUInt16LE(10);
  if ((flags & VOLUME_DIRTY) !== 0) doubt("it is marked dirty");
  if ((flags & VOLUME_UNFINISHED) !== 0) doubt("Windows has not finished its work on it");

  const log = await volume.attribute(RECORD.logFile, ATTRIBUTE.data);
  if (!log || log.sizeBytes < 2 * LOG_PAGE_BYTES) doubt("it has no log");
  await requireCleanLog(log);
}

interface RestartPage {
  /** The newest record when the page was written. */
  newest: bigint;
  isClean: boolean;
}

/**
 * The log begins with two restart pages, which are written in turns: the one that lists the newer record
 * counts.
 */
async function requireCleanLog(log: NtfsAttribute): Promise<void> {
  const head = await log.read(0, Math.min(log.sizeBytes, 2 * LARGEST_LOG_PAGE_BYTES));
  // A repair or another system emptied a log of ones; it has no records.
  if (head.every((byte) => byte === 0xff)) return;
  const pageBytes = head.readUInt32LE(16);
  const isKnown =
    head.toString("latin1", 0, 4) === "RSTR" && pageBytes >= 512 && pageBytes * 2 <= head.length;
  if (!isKnown || hasOtherRestartPage(head, pageBytes)) doubt("its log is not understood");
  const [first, second] = [0, pageBytes].map((start) =>
    parseRestartPage(head.subarray(start, start + pageBytes)),
  );
  if (!first) return doubt("its log is not understood");
  if (second && second.newest === first.newest && second.isClean !== first.isClean) {
    doubt("its log is not understood");
  }
  const newest = second && second.newest > first.newest ? second : first;
  if (!newest.isClean) doubt("it is mounted or was not unmounted: its log is in use");
}

/** Systems with other page sizes put the second page elsewhere; each of them looks at every power of two. */
function hasOtherRestartPage(head: Buffer, pageBytes: number): boolean {
  for (let start = 512; start < head.length; start *= 2) {
    if (start !== pageBytes && head.toString("latin1", start, start + 4) === "RSTR") return true;
  }
  return false;
}

/** Returns `undefined` for a page that was never written. */
function parseRestartPage(page: Buffer): RestartPage | undefined {
  if (page.every((byte) => byte === 0xff)) return undefined;
  if (page.toString("latin1", 0, 4) !== "RSTR") doubt("its log is not understood");
  applyFixups(page);
  const area = page.readUInt16LE(24);
  if (area + 16 > page.length) doubt("its log is not understood");
  const isMarkedClean = (page.readUInt16LE(area + 14) & LOG_CLEAN) !== 0;
  return {
    newest: page.readBigUInt64LE(area),
    isClean: isMarkedClean || page.readUInt16LE(area + 12) === NO_LOG_CLIENT,
  };
}

/**
 * A hibernated Windows, or one shut down with fast start-up, has changes in its hibernation file that the
 * disk does not show.
 */
async function requireNotHibernated(volume: NtfsVolume): Promise<void> {
  for (const type of [ATTRIBUTE.indexRoot, ATTRIBUTE.indexAllocation]) {
    const index = await volume.attribute(RECORD.root, type);
    if (!index) continue;
    const bytes = await index.read(0, index.sizeBytes);
    if (type === ATTRIBUTE.indexAllocation) applyIndexFixups(bytes);
    // Entries, and the names in them, are at even bytes. Freed parts of an index may still contain the file's
    // name.
    for (const name of bytes.toString("utf16le").matchAll(HIBERNATION_FILE)) {
      const entry = name.index * 2 - ENTRY_NAME_OFFSET;
      const isWholeName = entry >= 0 && bytes.readUInt8(entry + ENTRY_NAME_LENGTH_OFFSET) === name[0].length;
      if (isWholeName) await requireNoImage(volume, bytes.readUIntLE(entry, 6));
    }
  }
}

async function requireNoImage(volume: NtfsVolume, record: number): Promise<void> {
  const file = await volume.attribute(record, ATTRIBUTE.data);
  if (!file || file.sizeBytes === 0) return;
  const head = await file.read(0, Math.min(4096, file.sizeBytes));
  if (head.some((byte) => byte !== 0)) doubt("Windows is hibernated or was shut down with fast start-up");
}

function applyIndexFixups(bytes: Buffer): void {
  for (let block = 0; block + INDEX_BLOCK_BYTES <= bytes.length; block += INDEX_BLOCK_BYTES) {
    // Freed blocks of the index can hold anything.
    if (bytes.toString("latin1", block, block + 4) !== "INDX") continue;
    applyFixups(bytes.subarray(block, block + INDEX_BLOCK_BYTES));
  }
}

async function requireUsed(bitmap: NtfsAttribute, clusterBytes: number, extent: Extent): Promise<void> {
  const first = extent.offset / clusterBytes;
  const behind = first + extent.length / clusterBytes;
  const firstByte = Math.floor(first / 8);
  const bytes = await bitmap.read(firstByte, Math.ceil(behind / 8) - firstByte);
  let used = 0;
  const count: MarkUsed = (start, length) => {
    used += Math.max(0, Math.min(start + length, behind) - Math.max(start, first));
  };
  markSetBits(count, bytes, { bits: bytes.length * 8, offset: firstByte * 8, unitBytes: 1 });
  if (used !== behind - first) doubt("its $Bitmap calls its own metadata free");
}
