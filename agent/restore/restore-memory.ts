import { UNIT_BYTES } from "#shared/format/blob.ts";
import { StageTimes } from "../progress/stage-times.ts";
import { allocatePages, PAGE_BYTES } from "../threads/page-memory.ts";

/** How much memory a restore takes, for a disk of any size. */
export interface RestoreGeometry {
  workers: number;
  /** Reads from the store in progress or waiting for a worker. */
  fetchSlots: number;
  /** A multiple of 8. */
  fetchBytes: number;
  /** Expanded blocks that wait to be written. At least one for each worker, and one more. */
  outputSlots: number;
  /** A multiple of a unit's 256 KiB. */
  outputBytes: number;
}

const CONTROL_INTS = 256;
const CONTROL = { stopped: 0, freed: 1, outputStates: 16 } as const;

/** The memory that a restore's threads share: sealed bytes in, blocks out. */
export class RestoreMemory {
  readonly geometry: RestoreGeometry;
  readonly buffer: SharedArrayBuffer;
  /** How the workers spend their time. */
  readonly times: StageTimes;
  readonly #control: Int32Array;
  #blockedMs = 0;

  private constructor(geometry: RestoreGeometry, buffer: SharedArrayBuffer) {
    this.geometry = geometry;
    this.buffer = buffer;
    const { control, times } = layOut(geometry);
    this.#control = new Int32Array(buffer, control, CONTROL_INTS);
    this.times = new StageTimes(buffer, times, geometry.workers);
  }

  static allocate(geometry: RestoreGeometry): RestoreMemory {
    if (geometry.outputSlots <= geometry.workers)
      throw new RangeError("each worker needs an output slot, and one more");
    if (geometry.outputBytes % UNIT_BYTES !== 0) throw new RangeError("output slots hold whole units");
    return new RestoreMemory(geometry, allocatePages(Math.ceil(layOut(geometry).end / PAGE_BYTES)));
  }

  static attach(geometry: RestoreGeometry, buffer: SharedArrayBuffer): RestoreMemory {
    return new RestoreMemory(geometry, buffer);
  }

  fetched(slot: number): Buffer {
    const { fetchBytes } = this.geometry;
    return Buffer.from(this.buffer, slot * fetchBytes, fetchBytes);
  }

  output(slot: number): Buffer {
    const { outputBytes } = this.geometry;
    return Buffer.from(this.buffer, layOut(this.geometry).outputs + slot * outputBytes, outputBytes);
  }

  /**
   * Takes a free output slot. Blocks the thread until there is one, so it is for workers only. Throws once
   * stopped.
   */
  takeOutput(): number {
    for (;;) {
      const freed = Atomics.load(this.#control, CONTROL.freed);
      if (Atomics.load(this.#control, CONTROL.stopped)) throw new Error("the restore was stopped");
      for (let slot = 0; slot < this.geometry.outputSlots; slot++) {
        if (Atomics.compareExchange(this.#control, CONTROL.outputStates + slot, 0, 1) === 0) return slot;
      }
      const from = performance.now();
      Atomics.wait(this.#control, CONTROL.freed, freed);
      this.#blockedMs += performance.now() - from;
    }
  }

  /** How long this thread has waited for output slots, in ms. */
  get blockedMs(): number {
    return this.#blockedMs;
  }

  releaseOutput(slot: number): void {
    Atomics.store(this.#control, CONTROL.outputStates + slot, 0);
    this.#wake();
  }

  /** Wakes workers that wait for a slot, so that they end. */
  stop(): void {
    Atomics.store(this.#control, CONTROL.stopped, 1);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#control, CONTROL.freed, 1);
    Atomics.notify(this.#control, CONTROL.freed);
  }
}

function layOut({ workers, fetchSlots, fetchBytes, outputSlots, outputBytes }: RestoreGeometry) {
  const outputs = fetchSlots * fetchBytes;
  const control = outputs + outputSlots * outputBytes;
  const times = control + CONTROL_INTS * 4;
  return { outputs, control, times, end: times + StageTimes.bytes(workers) };
}
