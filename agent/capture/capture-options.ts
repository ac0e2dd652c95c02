import type { BlockSet } from "#shared/domain/block-set.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import type { Bottleneck } from "#shared/protocol/common.ts";
import type { DiskSource } from "../disk/disk-source.ts";
import type { ProgressMeter } from "../progress/progress-meter.ts";
import type { Repository } from "../repository/repository.ts";
import type { Pace } from "../store/object-store.ts";
import type { CaptureJournal } from "./journal.ts";
import type { CaptureGeometry } from "./shared-memory.ts";

/** What a capture may use. Its memory depends only on these settings, not on the size of the disk. */
export interface CaptureSettings extends CaptureGeometry {
  uploads: number;
  mapPackBytes: number;
  /** More unreadable bytes than this fail the capture with `TooManyReadErrorsError`. */
  maxBadBytes: number;
}

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
   * Lets a repeated call continue where an interrupted one stopped. The content of the disk must be the same.
   */
  journal?: CaptureJournal;
  meter?: ProgressMeter;
  signal?: AbortSignal;
  /** Limits the upload; see `createRateLimit`. */
  pace?: Pace;
  settings?: Partial<CaptureSettings>;
  /** Milliseconds since 1970. */
  now: () => number;
}

export interface CaptureStatistics {
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
