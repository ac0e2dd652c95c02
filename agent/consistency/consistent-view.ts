import type { BlockSet } from "#shared/domain/block-set.ts";
import type { CopyView } from "#shared/format/point.ts";
import type { ViewKind } from "#shared/protocol/taken-point.ts";
import type { DiskSource } from "../disk/disk-source.ts";

/** A disk that this agent can read. */
export interface LocalDisk {
  name: string;
  path: string;
  /** Whether nothing writes to it, so that what its file systems mark as free can be trusted. */
  isStill: boolean;
}

export interface ViewRequest {
  /** Whether to copy blocks that file systems mark as free, too. */
  allBlocks: boolean;
}

/** One disk as a view shows it. */
export interface DiskView {
  name: string;
  /** The view closes it. */
  source: DiskSource;
  /**
   * Names what the disk contains in this view. In two views with one name it is the same, so an interrupted
   * capture can continue.
   */
  content: string;
  /** The blocks that must be copied, in blocks of the repository; all if absent. */
  used?: BlockSet;
  /** What the recovery point says of the copy. Call it after the disk was read: reading may show more. */
  copy: () => Promise<CopyView>;
  /** The blocks that may differ from the newest recovery point, or why they are not known. */
  changes: BlockSet | { unknown: string };
}

/**
 * Some disks of this machine, as a recovery point shows them. `close` removes everything that the view needed
 * on the machine; it may be called at any time, and more than once.
 */
export interface ConsistentView {
  /** How long writes of the machine's own programs had to wait, in all. */
  readonly freezeMilliseconds: number;
  /** In the order in which they were asked for. */
  readonly disks: readonly DiskView[];
  close(): Promise<void>;
}

/** One way to read disks: opens a view of them. If it throws, nothing is left on the machine. */
export type OpenView = (disks: readonly LocalDisk[], request: ViewRequest) => Promise<ConsistentView>;

/** Every way that this agent has. */
export type ViewKinds = Readonly<Record<ViewKind, OpenView>>;
