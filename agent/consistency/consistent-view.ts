import type { BlockSet } from "#shared/domain/block-set.ts";
import type { CopyView } from "#shared/format/point.ts";
import type { PointHooks } from "#shared/protocol/point-hooks.ts";
import type { FrozenTime, ViewKind } from "#shared/protocol/taken-point.ts";
import type { DiskSource } from "../disk/disk-source.ts";
import type { ParentDisk } from "../repository/newest-disks.ts";

/** A disk that this agent can read. */
export interface LocalDisk {
  name: string;
  path: string;
  /** Whether nothing writes to it, so that what its file systems mark as free can be trusted. */
  isStill: boolean;
}

export interface ViewRequest {
  /** The recovery point that is taken. */
  pointId: string;
  /** Whether to copy blocks that file systems mark as free, too. */
  allBlocks: boolean;
  /** Whether a copy that is not consistent is better than none. */
  allowInconsistent: boolean;
  /** What the new recovery point builds on: of each disk, the newest one that has it. */
  parents: ReadonlyMap<string, ParentDisk>;
}

/** What one reading of a disk reads. */
export interface Reading {
  source: DiskSource;
  /** The blocks that must be copied, in blocks of the repository; all if absent. */
  used?: BlockSet;
  /** The blocks that may differ from what was copied before, or why they are not known. */
  changes: BlockSet | { unknown: string };
  /** Whether the source has only the blocks of `changes`. */
  isPartial?: boolean;
}

/** One disk as a view shows it: its first reading, and often its only one. */
export interface DiskView extends Reading {
  name: string;
  /** The view closes it. */
  source: DiskSource;
  /**
   * Names what the disk contains in this view. In two views with one name it is the same, so an interrupted
   * capture can continue.
   */
  content: string;
  /**
   * Whether it changes while it is read. A block of the sample that differs then says little by itself: it
   * goes to `settle`.
   */
  isLive?: boolean;
  /** What the recovery point says of the copy. Call it after the disk was read: reading may show more. */
  copy: () => Promise<CopyView>;
  /** What the view found out about the disk, for operators; call it after the disk was read. */
  remark?: () => string | undefined;
  /**
   * How many blocks of the sample had changed, and `changes` did not have them. If absent, every one that
   * differs.
   */
  missedBlocks?: () => number;
}

/** What the first reading of a disk that changes meanwhile found. */
export interface FirstReading {
  /** Whether an interrupted attempt had read a part of it. */
  isContinued: boolean;
  /** Positions of the blocks of the sample that differ, although `changes` does not have them. */
  differing: readonly number[];
}

export interface Settling {
  /** What the first reading of each disk found. */
  first: ReadonlyMap<string, FirstReading>;
  /** Reads a part of a disk again, based on all readings before. */
  readAgain: (disk: string, reading: Reading) => Promise<void>;
  /** Aborted when the work is cancelled or the agent stops. */
  signal: AbortSignal;
}

/**
 * Some disks of this machine, as a recovery point shows them. `close` removes everything that the view needed
 * on the machine; it may be called at any time, and more than once.
 */
export interface ConsistentView {
  /** How long writes of the machine's own programs had to wait at most, in all. */
  readonly freezeMilliseconds: number;
  /** When the freeze was that gave all disks in use one instant; `undefined` if none did. */
  readonly frozen?: FrozenTime | undefined;
  /** How hooks of the machine ended; `undefined` as long as none has been looked for. */
  readonly hooks?: PointHooks | undefined;
  /** In the order in which they were asked for. */
  readonly disks: readonly DiskView[];
  /** After the first reading of all disks: brings the copies of all of them to one instant. */
  settle?(settling: Settling): Promise<void>;
  /** Says that the recovery point is committed. */
  committed?(): Promise<void>;
  close(): Promise<void>;
}

/** One way to read disks: opens a view of them. If it throws, nothing is left on the machine. */
export type OpenView = (disks: readonly LocalDisk[], request: ViewRequest) => Promise<ConsistentView>;

/** A way that not every disk allows. */
export interface ConditionalView {
  open: OpenView;
  /** Why each of these disks cannot be read in this way; those that can be are absent. */
  obstacles(disks: readonly LocalDisk[]): Promise<ReadonlyMap<string, string>>;
}

/** Every way that this agent has. */
export type ViewKinds = Readonly<
  Record<"still" | "inconsistent", OpenView> &
    Partial<Record<Exclude<ViewKind, "still" | "inconsistent">, ConditionalView>>
>;
