/** For tests: an image's usage by sectors, so that no block of a copy hides a byte that was left out. */

import { BlockSet } from "#shared/domain/block-set.ts";
import type { Extent } from "#shared/domain/extents.ts";
import { type DiskReader, openFileReader } from "../../disk/reader.ts";
import { type DiskUsage, readDiskUsage } from "../disk-usage.ts";
import type { MarkUsed } from "../mark-used.ts";

const SECTOR_BYTES = 512;

export type SectorUsage = Omit<DiskUsage, "used"> & { used: Extent[] };

/** The usage of a disk that nothing writes to, with its used stretches in order. */
export async function usageOf(disk: string | DiskReader): Promise<SectorUsage> {
  return withReader(disk, async (reader) => {
    const usage = await readDiskUsage(reader, { consistent: true, blockBytes: SECTOR_BYTES });
    return { ...usage, used: usage.used.within(0, usage.sizeBytes) };
  });
}

/** What one kind of volume marks as used, in order; rejects with its `DoubtError`. */
export async function markedIn(
  image: string,
  markUsed: (reader: DiskReader, mark: MarkUsed) => Promise<void>,
): Promise<Extent[]> {
  return withReader(image, async (reader) => {
    const set = new BlockSet(reader.sizeBytes, SECTOR_BYTES);
    await markUsed(reader, (offset, length) => set.add(offset, length));
    return set.within(0, reader.sizeBytes);
  });
}

async function withReader<T>(disk: string | DiskReader, run: (reader: DiskReader) => Promise<T>): Promise<T> {
  if (typeof disk !== "string") return run(disk);
  const reader = await openFileReader(disk);
  try {
    return await run(reader);
  } finally {
    await reader.close();
  }
}
