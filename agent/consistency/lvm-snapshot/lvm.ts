import { LvmFailedError } from "#shared/errors.ts";

/** The tag of every snapshot that the agent makes: operators find them by it (`lvs @causeway`). */
export const SNAPSHOT_TAG = "causeway";

/** A logical volume as LVM has it now. */
export interface LiveVolume {
  group: string;
  groupUuid: string;
  name: string;
  uuid: string;
  sizeBytes: number;
  /** LVM's words for its kind, such as `linear` or `raid,raid1`. */
  layout: string;
  /** What it is for, such as `public`, `origin`, `snapshot`. */
  roles: readonly string[];
  tags: readonly string[];
  isSuspended: boolean;
  /** Its number in /sys; absent if it is not active. */
  device?: string;
  path: string;
}

export interface LiveGroup {
  name: string;
  uuid: string;
  extentBytes: number;
  freeBytes: number;
  /** LVM increments it with each change. */
  sequence: number;
  /** Why it must not be changed from here; absent if it may. */
  obstacle?: string;
}

export interface LivePhysicalVolume {
  /** Without dashes. */
  uuid: string;
  path: string;
}

export interface LvmState {
  volumes: readonly LiveVolume[];
  groups: readonly LiveGroup[];
  physicalVolumes: readonly LivePhysicalVolume[];
}

export interface SnapshotOrder {
  group: string;
  /** The logical volume that it shows. */
  origin: string;
  name: string;
  /** The room for what the origin loses while the snapshot exists. */
  sizeBytes: number;
}

/**
 * What a snapshot keeps of its volume as it was: nothing yet (`empty`), only the volume's first bytes
 * (`start`), or more. It is `lost` if it can no longer be read as it was.
 */
export type SnapshotFill = "empty" | "start" | "more" | "lost";

/** A program of LVM has not ended in time. It still runs, and may still do what it was asked for. */
export class LvmStuckError extends LvmFailedError {
  /** Resolves when the program has ended, well or not. */
  readonly ended: Promise<void>;

  constructor(why: string, ended: Promise<void>) {
    super("stuck", why);
    this.ended = ended;
  }
}

/** What the agent uses of LVM. */
export interface Lvm {
  /** LVM's volumes now; `undefined` if this machine has no LVM, or it does not answer. */
  look(): Promise<LvmState | undefined>;
  /** Whether the kernel has snapshots. */
  canSnapshot(): Promise<boolean>;
  /** Makes a snapshot. Returns the path of its device. Rejects with `LvmFailedError`, or `LvmStuckError`. */
  create(order: SnapshotOrder): Promise<string>;
  /** Removes a snapshot. Rejects with `LvmFailedError`, or `LvmStuckError`. */
  remove(snapshot: { group: string; name: string }): Promise<void>;
  /** Rejects with `LvmFailedError` if that cannot be found out. */
  fillOf(snapshot: { group: string; name: string }): Promise<SnapshotFill>;
}
