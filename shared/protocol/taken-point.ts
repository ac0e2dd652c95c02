/** What an agent reports of a recovery point that it took. */
import * as z from "zod";
import { Bottleneck, Timestamp } from "./common.ts";
import { Consistency, WholeCopies } from "./copied-disk.ts";
import { DiskBytes, DiskName, PointId } from "./ids.ts";
import { PointHooks } from "./point-hooks.ts";

/**
 * How the disks of a recovery point are read. `still`: nothing writes to them. `pre-copy`: they are in use;
 * what changes while they are read is read again, the last of it while their file systems are frozen.
 * `lvm-snapshot`: they are in use, and are read through snapshots of their logical volumes. `inconsistent`:
 * they are in use, and their parts are of different times.
 */
export const ViewKind = z.enum(["still", "pre-copy", "lvm-snapshot", "inconsistent"]);
export type ViewKind = z.infer<typeof ViewKind>;

/** `tracked`: only the blocks that were written were read. `hash-scan`: everything was read and compared. */
export const CaptureMode = z.enum(["tracked", "hash-scan"]);
export type CaptureMode = z.infer<typeof CaptureMode>;

/** Of every capture of a disk. */
export const captureFields = {
  bytesRead: z.int().nonnegative(),
  bytesStored: z.int().nonnegative(),
  badRanges: z.int().nonnegative(),
  consistency: Consistency,
  /** The parts that were copied with their free space, and why. */
  wholeCopies: WholeCopies,
  seconds: z.number().nonnegative(),
  bottleneck: Bottleneck,
};

/** One disk of a recovery point, and what it cost. */
export const DiskOfPoint = z.object({ name: DiskName, sizeBytes: DiskBytes.positive(), ...captureFields });
export type DiskOfPoint = z.infer<typeof DiskOfPoint>;

const Reason = z.string().min(1).max(200);

export const TakenDisk = DiskOfPoint.extend({
  /**
   * Bytes of the blocks that differ from the parent's, each block counted whole, and once more for each time
   * it changed while the disk was copied.
   */
  changedBytes: z.int().nonnegative(),
  mode: CaptureMode,
  /** Why it was not tracked. */
  modeReason: Reason.optional(),
  /** How many sampled blocks had changed although the tracker said that they had not. */
  trackerDisagreements: z.int().nonnegative(),
  view: ViewKind,
  viewReason: Reason,
});
export type TakenDisk = z.infer<typeof TakenDisk>;

/** The instant of disks in use: file systems were frozen between these times, by the source's clock. */
export const FrozenTime = z.object({ from: Timestamp, until: Timestamp });
export type FrozenTime = z.infer<typeof FrozenTime>;

/** Of a recovery point of all disks together. */
const freezeFields = {
  /** How long writes of the source's programs had to wait at most, in all attempts. */
  freezeMilliseconds: z.number().nonnegative(),
  /** Absent if no disk was in use, or the copies are not of one instant. */
  frozen: FrozenTime.optional(),
  /** How hooks around the last freeze ended; absent if there was none. */
  hooks: PointHooks.optional(),
};

/** What a result shows of the freeze; empty if the agent did not report it. */
export const FreezeShown = z.object(freezeFields).partial();
export type FreezeShown = z.infer<typeof FreezeShown>;

export const TakenPoint = z.object({
  pointId: PointId,
  disks: z.array(TakenDisk).min(1).max(256),
  ...freezeFields,
  /** Requests to the object store. */
  requests: z.int().nonnegative(),
});
export type TakenPoint = z.infer<typeof TakenPoint>;
