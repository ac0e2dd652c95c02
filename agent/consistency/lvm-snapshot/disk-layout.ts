import { type Extent, normalize, subtract } from "#shared/domain/extents.ts";
import { type DiskReader, sliceReader } from "../../disk/reader.ts";
import { readLvmPhysicalVolume } from "../../filesystems/lvm-metadata.ts";
import type { LvmPhysicalVolume, LvmSegment } from "../../filesystems/lvm-volume.ts";
import { readPartitionTable } from "../../filesystems/partition-table.ts";
import { probeCandidates } from "../../filesystems/probe.ts";

/** A partition, or the whole disk if it has no partition table. */
export interface DiskPart {
  /** Absent for the whole disk. */
  number?: number;
  offset: number;
  length: number;
  physicalVolume?: LvmPhysicalVolume;
}

/** What a disk consists of, by its own bytes. */
export interface DiskLayout {
  sizeBytes: number;
  parts: readonly DiskPart[];
}

/**
 * Reads a disk's layout. Throws, with the reason in words, if its partition table or a physical volume on it
 * cannot be read in exactly one way.
 */
export async function readDiskLayout(reader: DiskReader, sectorBytes: number): Promise<DiskLayout> {
  const table = await readPartitionTable(reader, sectorBytes);
  if (table.problems.length > 0) throw new Error(`its partition table is in doubt: ${table.problems[0]}`);
  const places: DiskPart[] =
    table.kind === "none"
      ? [{ offset: 0, length: reader.sizeBytes }]
      : table.partitions.map(({ number, offsetBytes, sizeBytes }) => ({
          ...{ number, offset: offsetBytes, length: sizeBytes },
        }));
  const parts: DiskPart[] = [];
  for (const part of places) {
    const slice = sliceReader(reader, part.offset, part.length);
    const types = (await probeCandidates(slice)).map(({ type }) => type);
    const isPhysical = types.includes("LVM2_member");
    parts.push(isPhysical ? { ...part, physicalVolume: await readLvmPhysicalVolume(slice) } : part);
  }
  return { sizeBytes: reader.sizeBytes, parts: parts.sort((a, b) => a.offset - b.offset) };
}

/** What a logical volume has on a disk; `undefined` if that is no plain copy of parts of it. */
export interface VolumeOnDisk {
  groupUuid: string;
  groupName: string;
  name: string;
  uuid: string;
  /** At offsets of the disk. */
  segments: readonly LvmSegment[] | undefined;
}

/** The logical volumes that have any byte on the disk. */
export function volumesOn({ parts }: DiskLayout): VolumeOnDisk[] {
  return parts.flatMap(({ offset, physicalVolume }) => {
    if (!physicalVolume) return [];
    const { group, groupName, volumes } = physicalVolume;
    return volumes
      .filter(({ taken }) => taken.length > 0)
      .map(({ name, uuid, segments }) => ({
        ...{ groupUuid: group.uuid, groupName, name, uuid },
        segments: segments?.map((segment) => ({ ...segment, offset: offset + segment.offset })),
      }));
  });
}

/**
 * The parts of the disk that hold LVM's own metadata: everything of its physical volumes but their extents.
 */
export function metadataOn({ parts }: DiskLayout): Extent[] {
  return parts.flatMap(({ offset, length, physicalVolume }) => {
    if (!physicalVolume) return [];
    const { extentsOffset, extentsBytes } = physicalVolume;
    return subtract([{ offset, length }], [{ offset: offset + extentsOffset, length: extentsBytes }]);
  });
}

/** The extents that belong to no logical volume. */
export function freeExtentsOn({ parts }: DiskLayout): Extent[] {
  return parts.flatMap(({ offset, physicalVolume }) => {
    if (!physicalVolume) return [];
    const { extentsOffset, extentsBytes, volumes } = physicalVolume;
    const taken = volumes.flatMap((volume) =>
      volume.taken.map((piece) => ({ offset: offset + piece.offset, length: piece.length })),
    );
    return subtract([{ offset: offset + extentsOffset, length: extentsBytes }], normalize(taken));
  });
}

/** What is outside of all partitions: the partition table, and boot loaders. */
export function gapsOn({ sizeBytes, parts }: DiskLayout): Extent[] {
  return subtract([{ offset: 0, length: sizeBytes }], normalize(parts));
}
