/**
 * The part of the pipeline that the others wait for; `compress` stands for all work on blocks: hash,
 * compress, seal.
 */
export type Stage = "read" | "compress" | "upload";

export interface CaptureProgress {
  /** Bytes of the disk that are done, of those to do. */
  bytesRead: number;
  bytesTotal: number;
  bytesStored: number;
  rateBytesPerSecond: number;
  /** Undefined until the rate is known. */
  remainingSeconds: number | undefined;
  bottleneck: Stage;
}

export interface StageTimes {
  elapsedMs: number;
  workers: number;
  /**
   * Summed over the workers: at work, and waiting for a pack to be uploaded. The rest they waited for reads.
   */
  busyMs: number;
  blockedMs: number;
}

/** With workers this busy, they are the limit; below, it is what they wait for more. */
const BUSY_SHARE = 0.75;

/** Which stage limits, from how the workers in the middle of the pipeline spent their time. */
export function findBottleneck({ elapsedMs, workers, busyMs, blockedMs }: StageTimes): Stage {
  const whole = Math.max(1, elapsedMs * workers);
  if (busyMs / whole >= BUSY_SHARE) return "compress";
  const starvedMs = Math.max(0, whole - busyMs - blockedMs);
  return blockedMs > starvedMs ? "upload" : "read";
}

/**
 * A progress report; `doneBefore` bytes were taken from an earlier attempt and say nothing about the rate.
 */
export function describeProgress(
  counts: { bytesRead: number; bytesTotal: number; bytesStored: number; doneBefore: number },
  times: StageTimes,
): CaptureProgress {
  const { bytesRead, bytesTotal, bytesStored, doneBefore } = counts;
  const rate = times.elapsedMs > 0 ? ((bytesRead - doneBefore) * 1000) / times.elapsedMs : 0;
  return {
    bytesRead,
    bytesTotal,
    bytesStored,
    rateBytesPerSecond: rate,
    remainingSeconds: rate > 0 ? (bytesTotal - bytesRead) / rate : undefined,
    bottleneck: findBottleneck(times),
  };
}
