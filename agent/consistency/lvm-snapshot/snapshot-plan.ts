import type { LvmState } from "./lvm.ts";
import { snapshotSizes } from "./snapshot-sizes.ts";
import type { Origin } from "./snapshots.ts";
import type { Facts, SurveyedDisk } from "./survey.ts";

export interface SnapshotPlan {
  /** The active volumes of these disks, but for swap space, each once. */
  origins: readonly (Origin & { device: string })[];
  /** Why some of the disks cannot be read by snapshots, by name. */
  obstacles: ReadonlyMap<string, string>;
}

/**
 * Which snapshots are needed to read these disks, and how large they can be. `swaps`: devices in use as
 * swap.
 */
export function planSnapshots(
  disks: readonly Pick<SurveyedDisk, "disk" | "volumes">[],
  { groups }: Pick<LvmState, "groups">,
  { swaps, marking }: Pick<Facts, "swaps" | "marking">,
): SnapshotPlan {
  const needed = new Map<string, Origin & { device: string; sizeBytes: number }>();
  for (const { live } of disks.flatMap(({ volumes }) => volumes)) {
    if (live.device === undefined || swaps.includes(live.device)) continue;
    const { group, groupUuid, name, uuid, sizeBytes, device } = live;
    const marksItself = marking.has(device);
    needed.set(uuid, { group, groupUuid, name, uuid, sizeBytes, device, snapshotBytes: 0, marksItself });
  }
  const refused = new Map<string, string>();
  for (const group of groups) {
    const own = [...needed.values()].filter(({ groupUuid }) => groupUuid === group.uuid);
    const sizes = snapshotSizes(group, own);
    if ("obstacle" in sizes) refused.set(group.uuid, sizes.obstacle);
    else for (const origin of own) origin.snapshotBytes = sizes.get(origin.uuid) ?? 0;
  }
  const obstacles = new Map<string, string>();
  for (const { disk, volumes } of disks) {
    const own = volumes.filter(({ live }) => needed.has(live.uuid));
    const full = own.flatMap(({ live }) => refused.get(live.groupUuid) ?? [])[0];
    if (own.length === 0) obstacles.set(disk.name, "none of its logical volumes is in use");
    else if (full !== undefined) obstacles.set(disk.name, full);
  }
  return { origins: [...needed.values()].map(({ sizeBytes, ...origin }) => origin), obstacles };
}
