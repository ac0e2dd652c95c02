import type { PointDisk } from "#shared/format/point.ts";
import { readPoint } from "./points.ts";
import type { Repository } from "./repository.ts";

export interface ParentDisk {
  pointId: string;
  disk: PointDisk;
}

/**
 * Of each disk, the newest of these recovery points that has it. Reads only as many points as it takes to
 * find all disks. `points`: as `listPoints` gives them.
 */
export async function newestDisks(
  repository: Repository,
  points: readonly string[],
  names: readonly string[],
): Promise<Map<string, ParentDisk>> {
  const found = new Map<string, ParentDisk>();
  // Ids sort by time, so the newest comes last.
  for (const pointId of points.toSorted().reverse()) {
    if (names.every((name) => found.has(name))) break;
    const { disks } = await readPoint(repository, pointId);
    for (const disk of disks)
      if (names.includes(disk.name) && !found.has(disk.name)) found.set(disk.name, { pointId, disk });
  }
  return found;
}
