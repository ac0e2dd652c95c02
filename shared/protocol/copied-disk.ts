/** How good a copy of a disk is: its consistency, and the parts that were copied whole because of doubt. */
import { z } from "zod";
import { DiskName } from "./ids.ts";

/**
 * From the least that can be promised to the most. `unknown`: not recorded, as in recovery points of
 * version 1. `not`: parts are of different times, because something wrote while it was read. `crash`: one
 * instant, as a power failure would leave it. `file-system`: one instant at which the file system was
 * whole. `application`: one that the applications prepared for.
 */
export const Consistency = z.enum(["unknown", "not", "crash", "file-system", "application"]);
export type Consistency = z.infer<typeof Consistency>;

/** A part of a disk that was copied whole, its free space included. */
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

/** What people should know about the copy of one disk, one sentence for each fact. */
export function remarksOn({ name, consistency, wholeCopies }: CopiedDisk): string[] {
  const remarks = wholeCopies.map(({ place, reason }) => `${name}: ${place} was copied whole: ${reason}`);
  if (consistency === "not")
    remarks.unshift(
      `${name}: NOT CONSISTENT: it was in use while it was read, so its parts are of different times`,
    );
  return remarks;
}
