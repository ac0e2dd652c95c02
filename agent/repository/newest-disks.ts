import type { PointDisk } from "#shared/format/point.ts";
import { listPoints, readPoint } from "./points.ts";
import type { Repository } from "./repository.ts";

export interface ParentDisk {
  pointId: string;
  disk: PointDisk;
}

/**
 * Of each disk, the newest recovery point that has it and is not marked for deletion. Reads only as many
 * points as it takes to find all disks.
 */
export async function newestDisks(
  repository: Repository,
  names: readonly string[],
): Promise<Map<string, ParentDisk>> {
  const found = new Map<string, ParentDisk>();
  // Ids sort by time, so the newest comes last.
  for (const pointId of (await listPoints(repository)).sort().reverse()) {
    if (names.every((name) => found.has(name))) break;
    const { disks } = await readPoint(repository, pointId);
    for (const disk of disks)
      if (names.includes(disk.name) && !found.has(disk.name)) found.set(disk.name, { pointId, disk });
  }
  return found;
}
