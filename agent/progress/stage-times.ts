import type { Bottleneck } from "#shared/protocol/common.ts";

/** The stages of a pipeline as seen from the workers in its middle. */
export interface Stages {
  /** What they wait for when they have nothing to do. */
  before: Bottleneck;
  /** Their own work. */
  own: Bottleneck;
  /** What they wait for when they cannot hand on. */
  after: Bottleneck;
}

export interface WorkerTimes {
  /** At work. */
  busyMs: number;
  /** Waiting to hand on. */
  blockedMs: number;
}

/** With workers this busy, they are the limit; below, it is what they wait for more. */
const BUSY_SHARE = 0.75;
const FIELDS = 2;

/** Which stage limits, from how the workers spent the elapsed time; `times` are sums over the workers. */
export function limitingStage(
  stages: Stages,
  times: WorkerTimes & { workers: number; elapsedMs: number },
): Bottleneck {
  const { busyMs, blockedMs } = times;
  const whole = Math.max(1, times.elapsedMs * times.workers);
  if (busyMs / whole >= BUSY_SHARE) return stages.own;
  const starvedMs = Math.max(0, whole - busyMs - blockedMs);
  return blockedMs > starvedMs ? stages.after : stages.before;
}

/** How the workers of a pipeline spend their time, in memory that all threads share. */
export class StageTimes {
  readonly #times: Float64Array;
  readonly #workers: number;

  /** The memory that `workers` need. */
  static bytes(workers: number): number {
    return workers * FIELDS * Float64Array.BYTES_PER_ELEMENT;
  }

  /** `offset`: a multiple of 8. */
  constructor(memory: SharedArrayBuffer, offset: number, workers: number) {
    this.#times = new Float64Array(memory, offset, workers * FIELDS);
    this.#workers = workers;
  }

  /** What a worker has spent since its start. */
  set(worker: number, { busyMs, blockedMs }: WorkerTimes): void {
    this.#times.set([busyMs, blockedMs], worker * FIELDS);
  }

  limitingStage(stages: Stages, elapsedMs: number): Bottleneck {
    const sum = (field: number) =>
      this.#times.reduce((total, value, at) => (at % FIELDS === field ? total + value : total), 0);
    return limitingStage(stages, { elapsedMs, workers: this.#workers, busyMs: sum(0), blockedMs: sum(1) });
  }
}
