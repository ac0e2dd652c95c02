import { BLOCK_BYTES, ID_BYTES } from "#shared/format/block.ts";
import { StageTimes } from "../progress/stage-times.ts";
import { allocatePages, PAGE_BYTES } from "../threads/page-memory.ts";

/** How many blocks are read at once; the blocks of one read can share units. */
export const READ_BLOCKS = 16;
export const READ_BYTES: number = READ_BLOCKS * BLOCK_BYTES;

/** How much memory a capture takes, for a disk of any size. */
export interface CaptureGeometry {
  workers: number;
  /** Reads in progress or waiting for a worker, 1 MiB each. */
  readSlots: number;
  /** Packs being filled or uploaded. At least one for each worker, and one more. */
  packBuffers: number;
  packBytes: number;
  /** How many blocks are remembered to find equal ones, a power of two; 64 bytes each. */
  knownBlocks: number;
}

/** The outcome for a block. */
export const OUTCOME = { zero: 0, same: 1, stored: 2 } as const;

/** Where a stored block is; packs are numbered within this capture. */
export interface StoredBlock {
  pack: number;
  number: number;
  offset: number;
  sealedBytes: number;
  at: number;
}

const RESULT_BYTES = 64;
const RESULT_ID_AT = 32;
const CONTROL_INTS = 1024;
const CONTROL = { stopped: 0, freed: 1, nextPack: 2, lock: 3, packStates: 16 } as const;

/**
 * The memory that a capture's threads share: reads, packs being filled, results, and the table of known
 * blocks.
 */
export class SharedMemory {
  readonly geometry: CaptureGeometry;
  readonly buffer: SharedArrayBuffer;
  /** How the workers spend their time. */
  readonly times: StageTimes;
  readonly #control: Int32Array;
  readonly #results: Int32Array;
  readonly #resultBytes: Buffer;
  readonly #layout: ReturnType<typeof layOut>;
  #blockedMs = 0;

  private constructor(geometry: CaptureGeometry, buffer: SharedArrayBuffer) {
    this.geometry = geometry;
    this.buffer = buffer;
    this.#layout = layOut(geometry);
    const resultBytes = geometry.readSlots * READ_BLOCKS * RESULT_BYTES;
    this.#results = new Int32Array(buffer, this.#layout.results, resultBytes / 4);
    this.#resultBytes = Buffer.from(buffer, this.#layout.results, resultBytes);
    this.#control = new Int32Array(buffer, this.#layout.control, CONTROL_INTS);
    this.times = new StageTimes(buffer, this.#layout.times, geometry.workers);
  }

  static allocate(geometry: CaptureGeometry): SharedMemory {
    if (geometry.packBuffers <= geometry.workers)
      throw new RangeError("each worker needs a pack buffer, and one more");
    const pages = Math.ceil(layOut(geometry).end / PAGE_BYTES);
    return new SharedMemory(geometry, allocatePages(pages));
  }

  /** The same memory, in another thread. */
  static attach(geometry: CaptureGeometry, buffer: SharedArrayBuffer): SharedMemory {
    return new SharedMemory(geometry, buffer);
  }

  read(slot: number): Buffer {
    return Buffer.from(this.buffer, this.#layout.reads + slot * READ_BYTES, READ_BYTES);
  }

  /** Ids that the read's blocks had in the previous recovery point. */
  previousIds(slot: number): Buffer {
    const bytes = READ_BLOCKS * ID_BYTES;
    return Buffer.from(this.buffer, this.#layout.previous + slot * bytes, bytes);
  }

  pack(buffer: number): Buffer {
    const { packBytes } = this.geometry;
    return Buffer.from(this.buffer, this.#layout.packs + buffer * packBytes, packBytes);
  }

  knownBlocks(): Buffer {
    return Buffer.from(this.buffer, this.#layout.known, this.geometry.knownBlocks * KNOWN_BLOCK_BYTES);
  }

  /** Sets the result of block `block` of a read: six numbers and, 32 bytes on, the block's id. */
  setResult(slot: number, block: number, outcome: number, id?: Uint8Array, stored?: StoredBlock): void {
    const at = this.#resultAt(slot, block);
    const ints = this.#results;
    ints[at / 4] = outcome;
    if (stored)
      ints.set([stored.pack, stored.number, stored.offset, stored.sealedBytes, stored.at], at / 4 + 1);
    if (id) this.#resultBytes.set(id, at + RESULT_ID_AT);
  }

  outcome(slot: number, block: number): number {
    return this.#results[this.#resultAt(slot, block) / 4] ?? OUTCOME.zero;
  }

  /** A stored block's id and place, copied. */
  result(slot: number, block: number): { id: Buffer; stored: StoredBlock } {
    const at = this.#resultAt(slot, block);
    const ints = this.#results.subarray(at / 4 + 1, at / 4 + 6);
    const [pack = 0, number = 0, offset = 0, sealedBytes = 0, unitAt = 0] = ints;
    const id = Buffer.from(this.#resultBytes.subarray(at + RESULT_ID_AT, at + RESULT_ID_AT + ID_BYTES));
    return { id, stored: { pack, number, offset, sealedBytes, at: unitAt } };
  }

  /**
   * Takes a free pack buffer. Blocks the thread until there is one, so it is for workers only. Throws once
   * stopped.
   */
  takePackBuffer(): number {
    for (;;) {
      const freed = Atomics.load(this.#control, CONTROL.freed);
      if (Atomics.load(this.#control, CONTROL.stopped)) throw new Error("the capture was stopped");
      for (let buffer = 0; buffer < this.geometry.packBuffers; buffer++) {
        if (Atomics.compareExchange(this.#control, CONTROL.packStates + buffer, 0, 1) === 0) return buffer;
      }
      const from = performance.now();
      Atomics.wait(this.#control, CONTROL.freed, freed);
      this.#blockedMs += performance.now() - from;
    }
  }

  /** How long this thread has waited for pack buffers, in ms. */
  get blockedMs(): number {
    return this.#blockedMs;
  }

  releasePackBuffer(buffer: number): void {
    Atomics.store(this.#control, CONTROL.packStates + buffer, 0);
    Atomics.add(this.#control, CONTROL.freed, 1);
    Atomics.notify(this.#control, CONTROL.freed);
  }

  /** Wakes workers that wait for a pack buffer, so that they end. */
  stop(): void {
    Atomics.store(this.#control, CONTROL.stopped, 1);
    Atomics.add(this.#control, CONTROL.freed, 1);
    Atomics.notify(this.#control, CONTROL.freed);
  }

  /** A pack number that this capture has not used yet. */
  nextPackNumber(): number {
    return Atomics.add(this.#control, CONTROL.nextPack, 1);
  }

  /** Runs `section` while no other thread runs one. Sections take microseconds, so waiting threads spin. */
  exclusively<T>(section: () => T): T {
    while (Atomics.compareExchange(this.#control, CONTROL.lock, 0, 1) !== 0);
    try {
      return section();
    } finally {
      Atomics.store(this.#control, CONTROL.lock, 0);
    }
  }

  #resultAt(slot: number, block: number): number {
    return (slot * READ_BLOCKS + block) * RESULT_BYTES;
  }
}

export const KNOWN_BLOCK_BYTES = 64;

function layOut(geometry: CaptureGeometry) {
  const { workers, readSlots, packBuffers, packBytes, knownBlocks } = geometry;
  const reads = 0;
  const packs = reads + readSlots * READ_BYTES;
  const known = packs + packBuffers * packBytes;
  const results = known + knownBlocks * KNOWN_BLOCK_BYTES;
  const previous = results + readSlots * READ_BLOCKS * RESULT_BYTES;
  const control = previous + readSlots * READ_BLOCKS * ID_BYTES;
  const times = control + CONTROL_INTS * 4;
  return {
    reads,
    packs,
    known,
    results,
    previous,
    control,
    times,
    end: times + StageTimes.bytes(workers),
  };
}
