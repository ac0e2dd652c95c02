import * as z from "zod";
import { ZERO_ID } from "#shared/format/block.ts";
import { MappedDisk, type Point } from "#shared/format/point.ts";
import { diskHash } from "#shared/format/tree.ts";
import { AgentId, DiskBytes, DiskName, PointId } from "#shared/protocol/ids.ts";

/** By what a change to a file shows without reading it; every writer changes the time. */
export const FileStamp = z.strictObject({
  /** As text: they do not fit into a number. */
  inode: z.string().max(32),
  modifiedNs: z.string().max(32),
  sizeBytes: DiskBytes,
});
export type FileStamp = z.infer<typeof FileStamp>;

export const StandbyDisk = z.strictObject({
  name: DiskName,
  /** What the image equals, apart from blocks of points that are being applied; null if it is not known. */
  holds: MappedDisk.nullable(),
  /** The image when it last equalled that; null before. */
  stamp: FileStamp.nullable(),
});
export type StandbyDisk = z.infer<typeof StandbyDisk>;

/** A recovery point of which any block may have been written to the standby. */
const AppliedPoint = z.strictObject({ pointId: PointId, disks: z.array(MappedDisk).max(256) });
export type AppliedPoint = z.infer<typeof AppliedPoint>;

/**
 * What a standby's images contain. An agent believes this only because it wrote it before it changed the
 * first byte, and again after the last one was durable.
 */
export const StandbyRecord = z.strictObject({
  sourceId: AgentId,
  /** The recovery point that all images equal if `applying` is empty; null before the first. */
  pointId: PointId.nullable(),
  disks: z.array(StandbyDisk).max(256),
  /** Points that were begun and not finished, the oldest first. */
  applying: z.array(AppliedPoint),
});
export type StandbyRecord = z.infer<typeof StandbyRecord>;

export function newStandby(sourceId: string): StandbyRecord {
  return { sourceId, pointId: null, disks: [], applying: [] };
}

export function isSameStamp(before: FileStamp | null | undefined, now: FileStamp): boolean {
  return JSON.stringify(before) === JSON.stringify(now);
}

/** A disk of zeros. */
function zeroDisk(name: string, sizeBytes: number): MappedDisk {
  const contentHash = diskHash(sizeBytes, ZERO_ID).toString("hex");
  return { name, sizeBytes, root: null, contentHash, usedBytes: 0, badRanges: 0, badBytes: 0 };
}

/** The map of a recovery point's disk, without the consistency of its copy. */
export function mapOf({ consistency: _c, volumes: _v, wholeCopies: _w, ...map }: Point["disks"][number]) {
  return map satisfies MappedDisk;
}

/** More interrupted points than this make a comparison of the whole images the cheaper way. */
const MOST_INTERRUPTED = 4;

/**
 * The record before the first byte of a point is written. `doubtful`: disks whose images another program has
 * changed or removed. A disk that the standby did not have is made from zeros.
 */
export function begun(record: StandbyRecord, point: Point, doubtful: ReadonlySet<string>): StandbyRecord {
  const disks = point.disks.map(mapOf);
  const tooMany = record.applying.length >= MOST_INTERRUPTED;
  const kept = record.disks.map((disk) =>
    tooMany || doubtful.has(disk.name) ? { ...disk, holds: null } : disk,
  );
  const made = disks
    .filter(({ name }) => !record.disks.some((disk) => disk.name === name))
    .map(({ name, sizeBytes }) => ({ name, holds: zeroDisk(name, sizeBytes), stamp: null }));
  const applying = tooMany ? [] : record.applying.filter(({ pointId }) => pointId !== point.pointId);
  return {
    ...record,
    disks: [...kept, ...made],
    applying: [...applying, { pointId: point.pointId, disks }],
  };
}

/** The record once one image turned out to have content that nothing explains. */
export function distrusted(record: StandbyRecord, disk: string): StandbyRecord {
  const disks = record.disks.map((each) => (each.name === disk ? { ...each, holds: null } : each));
  return { ...record, disks };
}

/** The record once all images equal the point and are durable. */
export function finished(
  record: StandbyRecord,
  point: Point,
  stamps: ReadonlyMap<string, FileStamp>,
): StandbyRecord {
  const disks = point.disks
    .map(mapOf)
    .map((holds) => ({ name: holds.name, holds, stamp: stamps.get(holds.name) ?? null }));
  return { ...record, pointId: point.pointId, disks, applying: [] };
}
