import { appendExtent, type Extent, normalize, shift, subtract, totalBytes } from "#shared/domain/extents.ts";
import { type DiskReader, openFileReader, sliceReader } from "../disk/reader.ts";
import { DoubtError } from "./doubt.ts";
import { ext4UsedExtents } from "./ext4-usage.ts";
import { lvmUsedExtents } from "./lvm-usage.ts";
import { ntfsUsedExtents } from "./ntfs-usage.ts";
import { type PartitionTable, readPartitionTable } from "./partition-table.ts";
import { type Content, probeContent } from "./probe.ts";
import { xfsUsedExtents } from "./xfs-usage.ts";

/** A partition, logical volume or whole disk, and how its use was found. */
export interface VolumeUsage {
  /** `disk`, `partition 2`, `partition 2/root`: for messages. */
  name: string;
  offsetBytes: number;
  sizeBytes: number;
  content: Content;
  usedBytes: number;
  /** `everything`: no free space is known, for `reason`. */
  method: "free-space-map" | "everything";
  reason?: string;
}

/** Which bytes of a disk matter. All others may be left out of a copy, where they then read back as zeros. */
export interface DiskUsage {
  sizeBytes: number;
  used: Extent[];
  /** As the caller said. Free-space maps of a file system that is being written are not a consistent view: do not rely on them then. */
  consistent: boolean;
  partitionTable: PartitionTable;
  volumes: VolumeUsage[];
}

/** The used bytes of a disk or image that nothing writes to; see `usedExtents`. */
export async function usedExtentsOf(path: string): Promise<Extent[]> {
  const reader = await openFileReader(path);
  try {
    return (await usedExtents(reader, { consistent: true })).used;
  } finally {
    await reader.close();
  }
}

type UsedExtents = (reader: DiskReader) => Promise<Extent[]>;

const FILE_SYSTEMS: Readonly<Record<string, UsedExtents>> = {
  ext2: ext4UsedExtents,
  ext3: ext4UsedExtents,
  ext4: ext4UsedExtents,
  xfs: xfsUsedExtents,
  ntfs: ntfsUsedExtents,
};

/**
 * Finds the used bytes of a whole disk: partition tables, all space outside of partitions (boot loaders live there), and of each
 * partition what its file system uses. Wherever anything is doubtful the volume counts as fully used, with the reason; so does swap, which may
 * hold a hibernated system. Never throws because of what is on the disk; an unreadable partition table means everything is used.
 *
 * `consistent`: whether nothing writes to the disk meanwhile; passed on to whoever decides what to do with the result.
 */
export async function usedExtents(
  reader: DiskReader,
  { consistent }: { consistent: boolean },
): Promise<DiskUsage> {
  const partitionTable = await readTable(reader);
  const places =
    partitionTable.kind === "none"
      ? [{ name: "disk", offsetBytes: 0, sizeBytes: reader.sizeBytes }]
      : partitionTable.kind === "unknown"
        ? []
        : partitionTable.partitions.map((each) => ({ ...each, name: `partition ${each.number}` }));
  const volumes: VolumeUsage[] = [];
  const free: Extent[] = [];
  for (const { name, offsetBytes, sizeBytes } of places) {
    const slice = sliceReader(reader, offsetBytes, sizeBytes);
    const { used, ...usage } = await volumeUsage(slice, partitionTable.kind === "none");
    volumes.push({ name, offsetBytes, sizeBytes, ...usage, usedBytes: totalBytes(used) });
    for (const extent of shift(subtract(whole(slice), used), offsetBytes)) {
      appendExtent(free, extent.offset, extent.length);
    }
  }
  const used = subtract(whole(reader), normalize(free));
  return { sizeBytes: reader.sizeBytes, used, consistent, partitionTable, volumes };
}

type Finding = Pick<VolumeUsage, "content" | "method" | "reason"> & { used: Extent[] };

async function volumeUsage(reader: DiskReader, isWholeDisk: boolean): Promise<Finding> {
  let content: Content = { type: "none" };
  try {
    content = await probeContent(reader);
    const used = await findUsed(reader, content, isWholeDisk);
    if (used.some((extent) => extent.offset < 0 || extent.offset + extent.length > reader.sizeBytes)) {
      throw new DoubtError("its free-space map reaches beyond the volume");
    }
    return { content, method: "free-space-map", used };
  } catch (error) {
    return { content, method: "everything", reason: reasonOf(error), used: whole(reader) };
  }
}

function findUsed(reader: DiskReader, content: Content, isWholeDisk: boolean): Promise<Extent[]> {
  if (content.type === "LVM2_member") return lvmUsedExtents(reader, logicalVolumeUsed);
  const fileSystem = FILE_SYSTEMS[content.type];
  if (fileSystem) return fileSystem(reader);
  if (content.type === "none") {
    throw new DoubtError(isWholeDisk ? "it has no partition table" : "it has no known signature");
  }
  throw new DoubtError(`free space of ${content.type} is not evaluated`);
}

/** For a logical volume: nothing is known about containers within. */
async function logicalVolumeUsed(reader: DiskReader): Promise<Extent[]> {
  const { type } = await probeContent(reader);
  const fileSystem = FILE_SYSTEMS[type];
  return fileSystem ? fileSystem(reader) : whole(reader);
}

async function readTable(reader: DiskReader): Promise<PartitionTable> {
  try {
    return await readPartitionTable(reader);
  } catch (error) {
    return { kind: "unknown", partitions: [], problems: [reasonOf(error)] };
  }
}

function whole(reader: DiskReader): Extent[] {
  return reader.sizeBytes > 0 ? [{ offset: 0, length: reader.sizeBytes }] : [];
}

/** Read errors count as doubt too: whoever copies the bytes meets them again and reports them. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
