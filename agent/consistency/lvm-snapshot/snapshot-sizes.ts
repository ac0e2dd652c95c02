import type { LiveGroup, LiveVolume } from "./lvm.ts";

/** A volume of at most this size gets room for all of it: its snapshot cannot fill up. */
const WHOLE_BYTES = 2 ** 30;
/** A snapshot's own tables: 16 bytes for each 4 KiB, and some more. */
const TABLES = 1.02;
/** Of a group's free space, the rest is left for others. */
const TAKEN_OF_FREE = 0.9;
const WANTED_PART = 1 / 4;
const LEAST_PART = 1 / 10;

type Sized = Pick<LiveVolume, "uuid" | "sizeBytes">;

/**
 * The size of the snapshot of each volume of one group, in whole extents, by uuid: a quarter of the volume if
 * the group has room, at least a tenth. Returns why there is no room otherwise.
 */
export function snapshotSizes(
  { name, extentBytes, freeBytes }: Pick<LiveGroup, "name" | "extentBytes" | "freeBytes">,
  volumes: readonly Sized[],
): ReadonlyMap<string, number> | { obstacle: string } {
  const free = Math.floor((freeBytes * TAKEN_OF_FREE) / extentBytes);
  const extents = (bytes: number) => Math.ceil((bytes * TABLES) / extentBytes) + 1;
  const least = volumes.map(({ sizeBytes }) => extents(sizeBytes * LEAST_PART));
  const wanted = volumes.map(({ sizeBytes }) =>
    extents(Math.max(Math.min(sizeBytes, WHOLE_BYTES), sizeBytes * WANTED_PART)),
  );
  const [sumLeast, sumWanted] = [sum(least), sum(wanted)];
  if (sumLeast > free) {
    const missing = mib((sumLeast - free) * extentBytes);
    return {
      obstacle: `its volume group ${name} has no room for snapshots: ${missing} MiB more must be free`,
    };
  }
  // What is left after the least goes to all in the same proportion of what they want.
  const share = sumWanted === sumLeast ? 1 : Math.min(1, (free - sumLeast) / (sumWanted - sumLeast));
  return new Map(
    volumes.map(({ uuid }, at) => {
      const [low, high] = [least[at] ?? 0, wanted[at] ?? 0];
      return [uuid, (low + Math.floor((high - low) * share)) * extentBytes];
    }),
  );
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
const mib = (bytes: number): number => Math.ceil(bytes / 2 ** 20);
