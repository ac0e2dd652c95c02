/**
 * The part of the pipeline that the others wait for; `compress` stands for all work on blocks: hash,
 * compress, seal.
 */
export type Stage = "read" | "compress" | "upload";

export interface CaptureProgress {
  /** Bytes of the disk that are done, and their total. */
  bytesRead: number;
  bytesTotal: number;
  bytesStored: number;
  rateBytesPerSecond: number;
  /** `undefined` until the rate is known. */
  remainingSeconds: number | undefined;
  bottleneck: Stage;
}

export interface StageTimes {
  elapsedMs: number;
  workers: number;
  /**
   * Summed over the workers: time at work, and time spent waiting for uploads. The rest of their time they
   * waited for reads.
   */
  busyMs: number;
  blockedMs: number;
}

/** With workers at least this busy, they are the bottleneck; below it, whichever they wait for longer. */
const BUSY_SHARE = 0.75;

/** The bottleneck, judged by how the workers in the middle of the pipeline spent their time. */
export function findBottleneck({ elapsedMs, workers, busyMs, blockedMs }: StageTimes): Stage {
  const whole = Math.max(1, elapsedMs * workers);
  if (busyMs / whole >= BUSY_SHARE) return "compress";
  const starvedMs = Math.max(0, whole - busyMs - blockedMs);
  return blockedMs > starvedMs ? "upload" : "read";
}

/** A progress report. An earlier attempt did `doneBefore` bytes, which do not count for the rate. */
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
