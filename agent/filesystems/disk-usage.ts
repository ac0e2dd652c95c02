import { BlockSet } from "#shared/domain/block-set.ts";
import { normalize, subtract } from "#shared/domain/extents.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { type DiskReader, openFileReader, sliceReader } from "../disk/reader.ts";
import { type Doubt, doubt, NotEvaluatedError } from "./doubt.ts";
import { markExt4Used } from "./ext4-usage.ts";
import { markLvmUsed } from "./lvm-usage.ts";
import type { MarkUsed } from "./mark-used.ts";
import { markNtfsUsed } from "./ntfs-usage.ts";
import type { PartitionTable } from "./partition.ts";
import { readPartitionTable } from "./partition-table.ts";
import { type Content, probeContent } from "./probe.ts";
import { markXfsUsed } from "./xfs-usage.ts";

/** A partition, logical volume or whole disk, and how its use was found. */
export interface VolumeUsage {
  /** `disk`, `partition 2`, `partition 2/root`: for messages. */
  name: string;
  offsetBytes: number;
  sizeBytes: number;
  content: Content;
  /** In whole blocks, as the disk is copied. */
  usedBytes: number;
  /** `everything`: no free space is known, for `reason`. */
  method: "free-space-map" | "everything";
  reason?: string;
}

/** Which blocks of a disk matter. All others may be left out of a copy, where they then read back as zeros. */
export interface DiskUsage {
  sizeBytes: number;
  used: BlockSet;
  /** As the caller said. Free-space maps of a file system that is being written are not a consistent view: do not rely on them then. */
  consistent: boolean;
  partitionTable: PartitionTable;
  volumes: VolumeUsage[];
  /** Every part that is copied whole because it cannot be read in exactly one way, the disk's own first. */
  doubts: Doubt[];
}

/** The used blocks of a disk or image that nothing writes to; see `readDiskUsage`. */
export async function usedBlocksOf(path: string): Promise<BlockSet> {
  const reader = await openFileReader(path);
  try {
    return (await readDiskUsage(reader, { consistent: true })).used;
  } finally {
    await reader.close();
  }
}

type MarkVolume = (reader: DiskReader, mark: MarkUsed) => Promise<void>;

const FILE_SYSTEMS: Readonly<Record<string, MarkVolume>> = {
  ext2: markExt4Used,
  ext3: markExt4Used,
  ext4: markExt4Used,
  xfs: markXfsUsed,
  ntfs: markNtfsUsed,
};

/**
 * Finds the used blocks of a whole disk: partition tables, all space outside of partitions (boot loaders live there), and of each
 * partition what its file system uses. Wherever anything is doubtful the volume counts as fully used, with the reason; so does swap, which may
 * hold a hibernated system. Never throws because of what is on the disk; an unreadable partition table means everything is used.
 *
 * `consistent`: whether nothing writes to the disk meanwhile; passed on to whoever decides what to do with the result. `blockBytes`: how
 * finely used and free bytes are told apart; a block with one used byte is used.
 */
export async function readDiskUsage(
  reader: DiskReader,
  { consistent, blockBytes = BLOCK_BYTES }: { consistent: boolean; blockBytes?: number },
): Promise<DiskUsage> {
  const { sizeBytes } = reader;
  const used = new BlockSet(sizeBytes, blockBytes);
  const partitionTable = await readTable(reader);
  const places =
    partitionTable.kind === "none"
      ? [{ name: "disk", offsetBytes: 0, sizeBytes }]
      : partitionTable.kind === "unknown"
        ? []
        : partitionTable.partitions.map((each) => ({ ...each, name: `partition ${each.number}` }));
  const covered = normalize(places.map((place) => ({ offset: place.offsetBytes, length: place.sizeBytes })));
  const outside = subtract(sizeBytes > 0 ? [{ offset: 0, length: sizeBytes }] : [], covered);
  for (const { offset, length } of outside) used.add(offset, length);
  const findings: Omit<VolumeUsage, "usedBytes">[] = [];
  const doubts: Doubt[] =
    partitionTable.kind === "unknown" ? [{ place: "disk", reason: partitionTable.problems.join("; ") }] : [];
  for (const { name, offsetBytes, sizeBytes: volumeBytes } of places) {
    const slice = sliceReader(reader, offsetBytes, volumeBytes);
    const mark: MarkUsed = (offset, length) => used.add(offsetBytes + offset, length);
    const { isDoubt, ...finding } = await markVolumeUsed(slice, mark, partitionTable.kind === "none");
    if (isDoubt) doubts.push({ place: name, reason: finding.reason ?? "" });
    findings.push({ name, offsetBytes, sizeBytes: volumeBytes, ...finding });
  }
  // Counted last: a block that two volumes share may be marked by either.
  const volumes = findings.map((volume) => ({
    ...volume,
    usedBytes: used.bytesWithin(volume.offsetBytes, volume.sizeBytes),
  }));
  return { sizeBytes, used, consistent, partitionTable, volumes, doubts };
}

type Finding = Pick<VolumeUsage, "content" | "method" | "reason"> & { isDoubt: boolean };

async function markVolumeUsed(reader: DiskReader, mark: MarkUsed, isWholeDisk: boolean): Promise<Finding> {
  let content: Content = { type: "none" };
  try {
    content = await probeContent(reader);
    await markContent(reader, content, within(reader, mark), isWholeDisk);
    return { content, method: "free-space-map", isDoubt: false };
  } catch (error) {
    mark(0, reader.sizeBytes);
    const isDoubt = !(error instanceof NotEvaluatedError);
    return { content, method: "everything", reason: reasonOf(error), isDoubt };
  }
}

/** Doubts at a mark that is not within the volume. */
function within(reader: DiskReader, mark: MarkUsed): MarkUsed {
  return (offset, length) => {
    if (offset < 0 || length < 0 || offset + length > reader.sizeBytes) {
      doubt("its free-space map reaches beyond the volume");
    }
    mark(offset, length);
  };
}

function markContent(
  reader: DiskReader,
  content: Content,
  mark: MarkUsed,
  isWholeDisk: boolean,
): Promise<void> {
  if (content.type === "LVM2_member") return markLvmUsed(reader, mark, markLogicalVolume);
  const fileSystem = FILE_SYSTEMS[content.type];
  if (fileSystem) return fileSystem(reader, mark);
  if (content.type === "none") {
    return doubt(isWholeDisk ? "it has no partition table" : "it has no known signature");
  }
  throw new NotEvaluatedError(`free space of ${content.type} is not evaluated`);
}

/** For a logical volume: nothing is known about containers within. */
async function markLogicalVolume(reader: DiskReader, mark: MarkUsed): Promise<void> {
  const { type } = await probeContent(reader);
  const fileSystem = FILE_SYSTEMS[type];
  if (fileSystem) await fileSystem(reader, within(reader, mark));
  else mark(0, reader.sizeBytes);
}

async function readTable(reader: DiskReader): Promise<PartitionTable> {
  try {
    return await readPartitionTable(reader);
  } catch (error) {
    return { kind: "unknown", partitions: [], problems: [reasonOf(error)] };
  }
}

/** Read errors count as doubt too: whoever copies the bytes meets them again and reports them. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
