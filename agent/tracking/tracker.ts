import type { BlockSet } from "#shared/domain/block-set.ts";
import type { DiskStatus, FreezeOutcome, FrozenMount } from "./disk-status.ts";
import type { TrackedEvents } from "./kind-of-disk.ts";

/** A whole disk to track. */
export interface DiskToTrack {
  /** Its device, such as `/dev/sda`. */
  path: string;
  events: TrackedEvents;
  /** At most 127 bytes that name this very disk, such as its serial number; empty if it has none. */
  identity: string;
}

/** What one pass found. */
export interface Pass {
  /** As it was after the pass began: what `distrust` decides by. */
  status: DiskStatus;
  /** The granules that changed, in blocks of 64 KiB. Meaningful only if the tracker can be trusted. */
  changed: BlockSet;
}

export interface FrozenReadRequest {
  /** Devices of tracked disks whose last pass was cleared. */
  disks: readonly string[];
  /** Mount points in the order in which they are frozen: the deepest first, the root last. */
  mounts: readonly string[];
  /** Parts of `disks` whose changes do not keep the read from ending: volumes that are not frozen. */
  ignored: readonly { disk: string; offset: number; length: number }[];
  /** Everything is thawed after this time. */
  limitMs: number;
  /** At most this much is read; it is kept in memory. */
  limitBytes: number;
}

/** Bytes of a disk. */
export interface Frame {
  disk: string;
  offset: number;
  bytes: Buffer;
}

export interface FrozenRead {
  /** Unless it is `converged`, the frames are just another pass; the next has what was not read. */
  outcome: FreezeOutcome;
  /** Why it ended, if reading failed. */
  error: string;
  rounds: number;
  freezeMilliseconds: number;
  /** By this machine's clock, in milliseconds since 1970: the freeze began later, and had ended by then. */
  startedAtMs: number;
  endedAtMs: number;
  mounts: FrozenMount[];
  /** By device, as after the thaw. */
  statuses: Map<string, DiskStatus>;
  /** In the order in which they were read: of two frames with the same bytes the later one counts. */
  frames: Frame[];
}

/**
 * Knows which granules of a disk were written. The marks are the kernel's and outlive this process. A run
 * that takes a recovery point calls `begin`, reads what it returns, calls `clear`, may repeat that with
 * `swap` and end with `freezeRead`, and calls `commit` when a recovery point has everything.
 *
 * Paths are those of the disks' devices. Throws `TrackingUnavailableError` if this machine cannot track, and
 * `TrackerFailedError` if a call failed; after that, only `begin` may follow.
 */
export interface Tracker {
  /** Tracks these disks from now on. One that is tracked already, with its size and identity, stays so. */
  attach(disks: readonly DiskToTrack[]): Promise<DiskStatus[]>;
  /** Every disk that is tracked. */
  status(): Promise<DiskStatus[]>;
  /** The first pass: everything since the last commit, including what a run that died had read. */
  begin(disk: string): Promise<Pass>;
  /** A further pass: what changed since the pass before, which was cleared. */
  swap(disk: string): Promise<Pass>;
  /** Says that what the last pass found was read after that pass began. */
  clear(disk: string): Promise<DiskStatus>;
  /**
   * Writes out what programs wrote to these file systems, so that a freeze has less to write. One that cannot
   * be written any more is left as it is.
   */
  sync(mounts: readonly string[]): Promise<void>;
  /** Freezes, reads what changed until nothing more does, and thaws. */
  freezeRead(request: FrozenReadRequest): Promise<FrozenRead>;
  /** Says that a recovery point has every cleared pass. May be repeated with the same `sequence`. */
  commit(disk: string, sequence: number): Promise<DiskStatus>;
  /** Ends tracking; of all disks if none is named. */
  detach(...disks: string[]): Promise<void>;
}
