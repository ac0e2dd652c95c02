/** How good a copy of a disk is: its consistency, and the parts that were copied whole because of doubt. */
import * as z from "zod";
import { DiskName } from "./ids.ts";

/**
 * From the weakest promise to the strongest. `unknown`: not recorded, as in recovery points of version 1.
 * `not`: parts of the copy are from different times, because something wrote while the agent read. `crash`:
 * the disk at one instant, as after a power failure. `file-system`: the disk at an instant at which the file
 * system was whole. `application`: the disk at an instant that the applications prepared for.
 */
export const Consistency = z.enum(["unknown", "not", "crash", "file-system", "application"]);
export type Consistency = z.infer<typeof Consistency>;

/** A part of a disk that was copied with its free space, and why. */
export const WholeCopy = z.object({
  /** `disk`, `partition 2`, `partition 3/root`. */
  place: z.string().min(1).max(160),
  reason: z.string().min(1).max(300),
});
export type WholeCopy = z.infer<typeof WholeCopy>;

export const WholeCopies = z.array(WholeCopy).max(16);

/** The lowest consistency of all of them; `unknown` for an empty list. */
export function leastConsistency(all: readonly Consistency[]): Consistency {
  const ranks = all.map((one) => Consistency.options.indexOf(one));
  return Consistency.options[Math.min(...ranks)] ?? "unknown";
}

export const CopiedDisk = z.object({ name: DiskName, consistency: Consistency, wholeCopies: WholeCopies });
export type CopiedDisk = z.infer<typeof CopiedDisk>;

/** What an operator should know about the copy of one disk, one sentence for each fact. */
export function remarksOn({ name, consistency, wholeCopies }: CopiedDisk): string[] {
  const remarks = wholeCopies.map(({ place, reason }) => `${name}: ${place} was copied whole: ${reason}`);
  if (consistency === "not")
    remarks.unshift(
      `${name}: NOT CONSISTENT: it was in use while it was read, so its parts are of different times`,
    );
  return remarks;
}
