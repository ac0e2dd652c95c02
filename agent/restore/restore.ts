import { BLOCK_BYTES } from "#shared/format/block.ts";
import { BlockMismatchError, DamagedObjectError } from "#shared/format/errors.ts";
import type { BlobRef } from "#shared/format/map-node.ts";
import { packKey } from "#shared/format/object-keys.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import type { Bottleneck } from "#shared/protocol/common.ts";
import type { ProgressMeter } from "../progress/progress-meter.ts";
import type { Stages } from "../progress/stage-times.ts";
import { MapReader } from "../repository/map-reader.ts";
import { planSpans, type Repository, type Span } from "../repository/repository.ts";
import { ObjectNotFoundError } from "../store/object-store.ts";
import { FirstFailure } from "../threads/first-failure.ts";
import { GARBAGE_BYTES, GarbageLimit } from "../threads/garbage.ts";
import { Semaphore } from "../threads/semaphore.ts";
import { Slots } from "../threads/slots.ts";
import { WorkerPool } from "../threads/worker-pool.ts";
import { type RestoreGeometry, RestoreMemory } from "./restore-memory.ts";
import {
  Claims,
  type RestorePart,
  type UnitBlocks,
  unitsByPack,
  wholeDisk,
  zeroRuns,
} from "./restore-plan.ts";
import type { FromRestoreWorker, RestoreTask, RestoreUnit, RestoreWorkerData } from "./restore-worker.ts";
import type { OutputRun } from "./run-writer.ts";

/**
 * Where a disk is restored to. Calls overlap, for different parts of the disk, and each part is written once.
 */
export interface DiskSink {
  /** Writes bytes. The caller may reuse the buffer once this resolves. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes a part zeros; absent if everything that is not written is zeros anyway. */
  zero?(offset: number, bytes: number): Promise<void>;
  /** If the sink is a plain file, the threads write to it themselves, which saves passing each block on. */
  readonly file?: {
    readonly fd: number;
    /** Bypasses the page cache: every write must be aligned to 4 KiB. Can be `fd`. */
    readonly directFd: number;
    /** The error to report for a failed write of this many bytes. */
    translate(error: unknown, bytes: number): Promise<unknown>;
  };
}

/** The start of a thread costs as much as restoring this; so a small restore has one. */
const ONE_THREAD_BYTES = 32 * 1024 * 1024;

/** About 26 MiB of shared buffers, and two busy cores. */
export const defaultRestoreSettings: RestoreGeometry = {
  workers: 2,
  fetchSlots: 4,
  fetchBytes: 4 * 1024 * 1024,
  outputSlots: 10,
  outputBytes: 1024 * 1024,
};

export interface RestoreOptions {
  repository: Repository;
  disk: MappedDisk;
  sink: DiskSink;
  /**
   * What to restore, in batches: blocks of one batch that are stored side by side are fetched together. No
   * leaf comes twice. The whole disk if absent.
   */
  parts?: AsyncIterable<readonly RestorePart[]>;
  /** Counts the bytes written; its caller has told it to expect them. */
  meter?: ProgressMeter;
  signal?: AbortSignal;
  settings?: Partial<RestoreGeometry>;
}

export interface RestoreStatistics {
  bytesWritten: number;
  bytesFetched: number;
  elapsedMs: number;
}

/**
 * Writes a disk of a recovery point to the sink: each block is authenticated and checked against its id
 * before it is written. Throws `DamagedObjectError` or `BlockMismatchError` for damage in the repository, the
 * sink's errors, or the signal's reason; the sink then holds parts of the disk.
 */
export async function restoreDisk(options: RestoreOptions): Promise<RestoreStatistics> {
  const restore = new Restore(options);
  try {
    await restore.run();
    return restore.statistics();
  } finally {
    await restore.end();
  }
}

const STAGES: Stages = { before: "download", own: "expand", after: "write" };
const WRITES = 2;

class Restore {
  readonly #options: RestoreOptions;
  readonly #geometry: RestoreGeometry;
  readonly #memory: RestoreMemory;
  readonly #pool: WorkerPool<RestoreTask, FromRestoreWorker>;
  readonly #slots: Slots;
  readonly #work: FirstFailure;
  readonly #startedMs = performance.now();
  /** Response chunks are copied into the slot, and are then garbage. */
  readonly #garbage = new GarbageLimit(GARBAGE_BYTES);
  /** More writes at once would only spin on the file's lock. */
  readonly #writeTurns = new Semaphore(Array.from({ length: WRITES }, (_, turn) => turn));
  #bytesWritten = 0;
  #bytesFetched = 0;

  constructor(options: RestoreOptions) {
    this.#options = options;
    const { file } = options.sink;
    this.#geometry = {
      ...defaultRestoreSettings,
      ...(file ? { outputSlots: defaultRestoreSettings.workers + 1 } : {}),
      ...options.settings,
    };
    const { fetchSlots, workers } = this.#geometry;
    this.#memory = RestoreMemory.allocate(this.#geometry);
    this.#slots = new Slots({ slots: fetchSlots, workers });
    this.#work = new FirstFailure(options.signal);
    this.#pool = new WorkerPool({
      script: new URL("./restore-worker.ts", import.meta.url),
      started: 1,
      dataOf: (worker): RestoreWorkerData => ({
        worker,
        geometry: this.#geometry,
        memory: this.#memory.buffer,
        dataKey: options.repository.dataKey,
        sizeBytes: options.disk.sizeBytes,
        ...(file ? { file: { fd: file.fd, directFd: file.directFd } } : {}),
      }),
      onMessage: (message, worker) => this.#receive(message, worker),
      onError: (error) => this.#work.fail(error),
    });
  }

  async run(): Promise<void> {
    const { repository, disk, meter } = this.#options;
    meter?.limitedBy(() => this.#limitingStage());
    const parts = this.#options.parts ?? wholeDisk(new MapReader(repository, disk));
    const claims = new Claims(disk);
    const batches = parts[Symbol.asyncIterator]();
    for (;;) {
      const { done, value: batch } = await this.#work.orFailure(batches.next());
      if (done) break;
      for (const { leaf } of batch) if (leaf) claims.take(leaf);
      if (this.#options.sink.zero) for (const part of batch) await this.#work.orFailure(this.#zero(part));
      for (const { pack, units } of unitsByPack(batch)) {
        for (const span of planSpans(units, ({ ref }) => ref, this.#geometry.fetchBytes)) {
          const slot = await this.#work.orFailure(this.#slots.take());
          this.#work.track(this.#fetch(slot, pack, span));
        }
      }
    }
    // All slots are free once everything fetched has been processed. Then only writes are left.
    await this.#work.orFailure(this.#slots.takeAll());
    await this.#work.drain();
    meter?.report();
  }

  statistics(): RestoreStatistics {
    const elapsedMs = performance.now() - this.#startedMs;
    return { bytesWritten: this.#bytesWritten, bytesFetched: this.#bytesFetched, elapsedMs };
  }

  end(): Promise<void> {
    return this.#work.end(() => {
      this.#memory.stop();
      return this.#pool.end();
    });
  }

  #limitingStage(): Bottleneck {
    return this.#memory.times.limitingStage(STAGES, performance.now() - this.#startedMs);
  }

  async #fetch(slot: number, pack: BlobRef["pack"], span: Span<UnitBlocks>): Promise<void> {
    const { repository } = this.#options;
    const object = packKey(repository.sourceId, pack.name);
    const range = { offset: span.offset, bytes: span.bytes };
    try {
      const into = this.#memory.fetched(slot);
      const bytes = await repository.store.get(object, { range, into, signal: this.#work.signal });
      if (bytes.length !== span.bytes) throw new DamagedObjectError(object, "it is cut short");
    } catch (error) {
      if (!(error instanceof ObjectNotFoundError)) throw error;
      throw new DamagedObjectError(object, "it is missing", { cause: error });
    }
    this.#bytesFetched += span.bytes;
    this.#garbage.add(span.bytes);
    const units = span.items.map(
      ({ ref: { number, offset, sealedBytes }, blocks }): RestoreUnit => ({
        number,
        offset,
        sealedBytes,
        blocks,
      }),
    );
    const worker = this.#slots.assign(this.#bytesFetched > ONE_THREAD_BYTES ? undefined : 1);
    this.#pool.send(worker, { slot, offset: span.offset, salt: pack.salt, object, units });
  }

  async #zero(part: RestorePart): Promise<void> {
    const { sink, disk } = this.#options;
    for (const { firstBlock, blocks } of zeroRuns(part, disk.sizeBytes)) {
      const offset = firstBlock * BLOCK_BYTES;
      await sink.zero?.(offset, this.#clip(offset, blocks * BLOCK_BYTES));
    }
  }

  #receive(message: FromRestoreWorker, worker: number): void {
    if (this.#work.signal.aborted) return;
    if (message.kind === "output") this.#work.track(this.#write(message.slot, message.runs));
    else if (message.kind === "written") this.#count(message.bytes);
    else if (message.kind === "unwritten") this.#work.track(this.#failWrite(message));
    else if (message.kind === "done") {
      this.#slots.done(worker);
      this.#slots.give(message.slot);
    } else if (message.kind === "mismatch")
      this.#work.fail(new BlockMismatchError(message.block, message.object));
    else this.#work.fail(new DamagedObjectError(message.object, message.message));
  }

  async #write(slot: number, runs: OutputRun[]): Promise<void> {
    const output = this.#memory.output(slot);
    await Promise.all(
      runs.map(async ({ firstBlock, at, blocks }) => {
        const offset = firstBlock * BLOCK_BYTES;
        const bytes = this.#clip(offset, blocks * BLOCK_BYTES);
        const turn = await this.#writeTurns.take();
        await this.#options.sink.write(offset, output.subarray(at, at + bytes));
        this.#writeTurns.give(turn);
        this.#count(bytes);
      }),
    );
    this.#memory.releaseOutput(slot);
  }

  async #failWrite({
    code,
    message,
    bytes,
  }: {
    code: string;
    message: string;
    bytes: number;
  }): Promise<never> {
    const error = Object.assign(new Error(message), { code });
    throw (await this.#options.sink.file?.translate(error, bytes)) ?? error;
  }

  /** The last block of a disk may be shorter. */
  #clip(offset: number, bytes: number): number {
    return Math.min(bytes, this.#options.disk.sizeBytes - offset);
  }

  #count(bytesWritten: number): void {
    this.#bytesWritten += bytesWritten;
    this.#options.meter?.add(bytesWritten);
  }
}
