import type { BlockSet } from "#shared/domain/block-set.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import type { Bottleneck } from "#shared/protocol/common.ts";
import type { DiskSource } from "../disk/disk-source.ts";
import type { Meter } from "../progress/progress-meter.ts";
import type { Repository } from "../repository/repository.ts";
import type { Pace } from "../store/object-store.ts";
import type { CaptureIdentity, CaptureJournal } from "./journal.ts";
import type { SampleResult, SampleSettings } from "./sample-check.ts";
import type { CaptureGeometry } from "./shared-memory.ts";

/** What a capture may use. Its memory depends only on these settings, not on the size of the disk. */
export interface CaptureSettings extends CaptureGeometry {
  uploads: number;
  mapPackBytes: number;
  /** More unreadable bytes than this fail the capture with `TooManyReadErrorsError`. */
  maxBadBytes: number;
  sample: SampleSettings;
}

/**
 * About 25 MiB of shared buffers, and two busy cores; docs/decisions/0013 gives the memory of the whole
 * process.
 */
export const defaultCaptureSettings: CaptureSettings = {
  workers: 2,
  readSlots: 6,
  packBuffers: 4,
  packBytes: 4 * 1024 * 1024,
  knownBlocks: 16 * 1024,
  uploads: 2,
  mapPackBytes: 1 * 1024 * 1024,
  maxBadBytes: 64 * 1024 * 1024,
  sample: { fraction: 0.005, maxBytes: 64 * 1024 * 1024 },
};

export interface CaptureOptions {
  repository: Repository;
  disk: DiskSource;
  diskName: string;
  /**
   * The used blocks of the disk; all others count as zeros. If absent, or for a disk of another size,
   * everything is read.
   */
  used?: BlockSet;
  /** The same disk in the parent point; blocks that have not changed since are not stored again. */
  previous?: MappedDisk;
  /**
   * The blocks that may differ from the parent's map, in blocks of `BLOCK_BYTES`: those that were written,
   * and those that the parent left out as free and that are used now. All others keep what the parent has
   * and are not read, except for a sample that checks the claim. If absent, without a parent, or for a disk
   * of another size, everything is read and compared.
   */
  changed?: BlockSet;
  /**
   * Whether `disk` has only the blocks of `changed`. What the parent has as unreadable then stays so if it is
   * not among them; otherwise it is read again with a changed block near it.
   */
  isPartial?: boolean;
  /**
   * Lets a repeated call continue where an interrupted one stopped, if `view` is the same.
   */
  journal?: CaptureJournal;
  /**
   * Whether the disk changes while it is read. A block of the sample that differs is then only reported: the
   * caller knows later whether it changed meanwhile.
   */
  isLive?: boolean;
  /** Names the content of the disk; another name for each instant. All calls without one have the same. */
  view?: string;
  meter?: Meter;
  signal?: AbortSignal;
  /** Limits the upload; see `createRateLimit`. */
  pace?: Pace;
  settings?: Partial<CaptureSettings>;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Chooses the sample: numbers from 0 to below 1. */
  random: () => number;
}

/** `tracked`: only the blocks that may have changed were read. `scan`: everything that is used. */
export type CaptureBasis = CaptureIdentity["basis"];

export interface PipelineStatistics {
  /** Bytes read from the disk by this call. */
  bytesRead: number;
  /** Bytes of the disk that an earlier attempt did, by the journal. */
  bytesResumed: number;
  /** Bytes of packs, including those of maps, that this call uploaded. */
  bytesStored: number;
  packsStored: number;
  limitingStage: Bottleneck;
  elapsedMs: number;
}

export interface CaptureStatistics extends PipelineStatistics {
  /** Bytes of the blocks whose ids differ from the parent's, each counted whole; all without a parent. */
  changedBytes: number;
  basis: CaptureBasis;
  /**
   * Of the blocks that `changed` leaves out. One that differs means that blocks changed which `changed` does
   * not have. This capture then scanned the disk, so the point is right; the source of `changed` is not.
   */
  sample: SampleResult;
}
