import { type Extents, totalBytes } from "#shared/domain/extents.ts";
import { BLOCK_BYTES, ID_BYTES } from "#shared/format/block.ts";
import type { PackRef } from "#shared/format/map-node.ts";
import type { PackOrigin } from "#shared/format/pack-index.ts";
import { FAN_OUT } from "#shared/format/tree.ts";
import type { Bottleneck } from "#shared/protocol/common.ts";
import { ResilientDiskReader } from "../disk/resilient-reader.ts";
import type { Stages } from "../progress/stage-times.ts";
import type { MappedLeaf } from "../repository/map-reader.ts";
import { FirstFailure } from "../threads/first-failure.ts";
import { OwnThread } from "../threads/own-thread.ts";
import { Slots } from "../threads/slots.ts";
import { WorkerPool } from "../threads/worker-pool.ts";
import type { CaptureOptions, CaptureSettings, PipelineStatistics } from "./capture-options.ts";
import { captureTasks, type FromCaptureWorker, type ToCaptureWorker } from "./capture-tasks.ts";
import type { CaptureWorkerData } from "./capture-worker.ts";
import type { JournalLeaf } from "./journal.ts";
import { LEAF_BYTES, LeafAssembly } from "./leaf-assembly.ts";
import type { LeafRead } from "./leaf-reads.ts";
import type { NewNode } from "./map-builder.ts";
import { PackUploader } from "./pack-uploader.ts";
import type { FinishedPack } from "./read-processor.ts";
import { READ_BLOCKS, READ_BYTES, SharedMemory } from "./shared-memory.ts";

/**
 * How many leaves may wait for their packs to become durable; above that, packs are closed early. Each takes
 * some 50 KiB.
 */
const MAX_WAITING_LEAVES = 128;
const STAGES: Stages = { before: "read", own: "compress", after: "upload" };
const ZEROS = Buffer.alloc(READ_BYTES);

type OnLeaf = (node: NewNode, record: JournalLeaf) => Promise<void>;
type PipelineOptions = CaptureOptions & {
  settings: CaptureSettings;
  origin: PackOrigin;
  /** Whether at most `LITTLE_BYTES` will be read: then no worker threads start. */
  isLittle: boolean;
};

/** What this thread compresses as quickly as a worker starts. It fits into one pack: no buffer is awaited. */
export const LITTLE_BYTES: number = 3 * READ_BYTES;

interface Reading {
  leaf: LeafAssembly;
  firstSlot: number;
  blocks: number;
}

/**
 * The running part of a capture: reads, workers and uploads. A buffer in shared memory bounds every queue.
 */
export class CapturePipeline {
  readonly uploader: PackUploader;
  readonly #options: PipelineOptions;
  readonly #memory: SharedMemory;
  readonly #reader: ResilientDiskReader;
  readonly #pool: WorkerPool<ToCaptureWorker, FromCaptureWorker> | OwnThread<ToCaptureWorker>;
  readonly #slots: Slots;
  readonly #readings = new Map<number, Reading>();
  readonly #packs: Promise<PackRef>[] = [];
  readonly #packWaiters: ((pack: Promise<PackRef>) => void)[] = [];
  readonly #work: FirstFailure;
  readonly #startedMs = performance.now();
  #onLeaf: OnLeaf = async () => {};
  #onWorkerEnded: () => void = () => {};
  #waitingLeaves = 0;
  #bytesSkipped = 0;

  constructor(options: PipelineOptions) {
    const settings = options.isLittle ? { ...options.settings, workers: 1 } : options.settings;
    this.#options = { ...options, settings };
    const { repository, disk, pace } = options;
    const { workers, readSlots } = settings;
    this.#memory = SharedMemory.allocate(settings);
    this.#reader = new ResilientDiskReader(disk, settings);
    this.#work = new FirstFailure(options.signal);
    this.#slots = new Slots({ slots: readSlots, workers });
    this.uploader = new PackUploader({
      repository,
      concurrency: settings.uploads,
      signal: this.#work.signal,
      ...(pace ? { pace } : {}),
    });
    this.#pool = options.isLittle ? this.#ownThread() : this.#startWorkers();
  }

  #ownThread(): OwnThread<ToCaptureWorker> {
    const { repository, origin } = this.#options;
    const send = (message: FromCaptureWorker) => this.#receive(message, 0);
    const handle = captureTasks({
      ...{ worker: 0, memory: this.#memory, dataKey: repository.dataKey, origin, send },
    });
    return new OwnThread(handle, (error) => this.#work.fail(error));
  }

  #startWorkers(): WorkerPool<ToCaptureWorker, FromCaptureWorker> {
    const { settings, repository, origin } = this.#options;
    return new WorkerPool({
      script: new URL("./capture-worker.ts", import.meta.url),
      started: settings.workers,
      dataOf: (worker): CaptureWorkerData => ({
        worker,
        geometry: settings,
        memory: this.#memory.buffer,
        dataKey: repository.dataKey,
        origin,
      }),
      onMessage: (message, worker) => this.#receive(message, worker),
      onError: (error) => this.#work.fail(error),
    });
  }

  /** What went wrong first; undefined while nothing did. */
  get failure(): unknown {
    return this.#work.failure;
  }

  /** `onLeaf` gets each leaf once everything it refers to is durable. */
  start(bytesTotal: number, onLeaf: OnLeaf): void {
    const { meter } = this.#options;
    meter?.expect(bytesTotal);
    meter?.limitedBy(() => this.#limitingStage());
    this.#onLeaf = onLeaf;
  }

  /** Counts bytes that an earlier attempt has done. */
  skip(bytes: number): void {
    this.#bytesSkipped += bytes;
    this.#options.meter?.skip(bytes);
  }

  /**
   * Starts one leaf's reads. Waits for free buffers, not for the results. Blocks outside of these reads stay
   * as they were.
   */
  async readLeaf(index: number, reads: readonly LeafRead[], previous: MappedLeaf): Promise<void> {
    const leaf = new LeafAssembly(index, reads, previous);
    for (const { offset, length, parts } of reads) {
      const firstSlot = (offset - index * LEAF_BYTES) / BLOCK_BYTES;
      if (parts.length === 0 && !hasAny(previous, firstSlot, Math.ceil(length / BLOCK_BYTES))) {
        if (leaf.finishRead()) this.#work.track(this.#completeLeaf(leaf));
        continue;
      }
      const slot = await this.#work.orFailure(this.#slots.take());
      this.#readings.set(slot, { leaf, firstSlot, blocks: Math.ceil(length / BLOCK_BYTES) });
      this.#work.track(this.#read(slot, offset, parts));
    }
  }

  /** Resolves when all leaves are done. */
  async finish(): Promise<void> {
    await this.#work.orFailure(this.#slots.takeAll());
    const ended = new Promise<void>((resolve) => {
      let left = this.#options.settings.workers;
      this.#onWorkerEnded = () => {
        left -= 1;
        if (left === 0) resolve();
      };
    });
    this.#flushWorkers(true);
    await this.#work.orFailure(ended);
    await this.#work.drain();
    await this.#work.orFailure(this.#reader.checkSize());
    this.#options.meter?.report();
  }

  /** The promise's result; rejects as soon as anything of the capture fails. */
  orFailure<T>(promise: Promise<T>): Promise<T> {
    return this.#work.orFailure(promise);
  }

  /** Ends the threads and stops listening to the caller's signal. Always call it. */
  end(): Promise<void> {
    return this.#work.end(() => {
      this.#memory.stop();
      return this.#pool.end();
    });
  }

  statistics(): PipelineStatistics {
    return {
      bytesRead: this.#reader.bytesRead,
      bytesResumed: this.#bytesSkipped,
      bytesStored: this.uploader.bytesStored,
      packsStored: this.uploader.packsStored,
      limitingStage: this.#limitingStage(),
      elapsedMs: this.#elapsedMs(),
    };
  }

  async #read(slot: number, offset: number, parts: Extents): Promise<void> {
    const reading = this.#readings.get(slot);
    if (!reading) return;
    const { leaf, firstSlot, blocks } = reading;
    const buffer = this.#memory.read(slot);
    let filled = 0;
    for (const part of parts) {
      buffer.fill(0, filled, part.offset - offset);
      const into = buffer.subarray(part.offset - offset, part.offset - offset + ceilBlocks(part.length));
      const bad = await this.#reader.read(part.offset, part.length, into);
      leaf.addBadRanges(
        bad.map((each) => ({ ...each, offset: each.offset + (part.offset - leaf.index * LEAF_BYTES) })),
      );
      filled = part.offset - offset + part.length;
    }
    buffer.fill(0, filled, blocks * BLOCK_BYTES);
    this.#options.meter?.add(totalBytes(parts));
    // Nothing to compare with and no used block: a free stretch of the disk is not worth two messages per
    // read.
    if (
      !leaf.hasPrevious &&
      buffer.subarray(0, blocks * BLOCK_BYTES).equals(ZEROS.subarray(0, blocks * BLOCK_BYTES))
    ) {
      this.#finishReading(slot);
      return;
    }
    this.#setPreviousIds(slot, leaf, firstSlot);
    const firstBlock = leaf.index * FAN_OUT + firstSlot;
    this.#pool.send(this.#slots.assign(), {
      kind: "read",
      task: { slot, firstBlock, blocks, hasPrevious: leaf.hasPrevious },
    });
  }

  #setPreviousIds(slot: number, leaf: LeafAssembly, firstSlot: number): void {
    if (!leaf.hasPrevious) return;
    const ids = this.#memory.previousIds(slot).fill(0);
    for (let block = 0; block < READ_BLOCKS; block++) {
      const id = leaf.previousId(firstSlot + block);
      if (id) ids.set(id, block * ID_BYTES);
    }
  }

  #receive(message: FromCaptureWorker, worker: number): void {
    if (this.#work.signal.aborted) return;
    if (message.kind === "pack") this.#storePack(message.pack);
    else if (message.kind === "ended") this.#onWorkerEnded();
    else {
      this.#slots.done(worker);
      const reading = this.#readings.get(message.slot);
      reading?.leaf.take(this.#memory, message.slot, reading.firstSlot, reading.blocks);
      this.#finishReading(message.slot);
    }
  }

  #finishReading(slot: number): void {
    const leaf = this.#readings.get(slot)?.leaf;
    this.#readings.delete(slot);
    this.#slots.give(slot);
    if (leaf?.finishRead()) this.#work.track(this.#completeLeaf(leaf));
  }

  #storePack({ number, buffer, bytes, name, salt }: FinishedPack): void {
    const ref: PackRef = { name: Buffer.from(name), salt: Buffer.from(salt) };
    const upload = this.uploader.upload(name, this.#memory.pack(buffer).subarray(0, bytes)).then(() => {
      this.#memory.releasePackBuffer(buffer);
      return ref;
    });
    this.#work.track(upload.then(() => {}));
    this.#packs[number] = upload;
    this.#packWaiters[number]?.(upload);
    delete this.#packWaiters[number];
  }

  #durablePack(number: number): Promise<PackRef> {
    const known = this.#packs[number];
    if (known) return known;
    const promise = new Promise<PackRef>((resolve) => {
      this.#packWaiters[number] = resolve;
    });
    this.#packs[number] = promise;
    return promise;
  }

  async #completeLeaf(leaf: LeafAssembly): Promise<void> {
    const refs = new Map<number, PackRef>();
    this.#waitingLeaves += 1;
    if (this.#waitingLeaves % MAX_WAITING_LEAVES === 0) this.#flushWorkers();
    for (const pack of leaf.packs()) refs.set(pack, await this.#work.orFailure(this.#durablePack(pack)));
    this.#waitingLeaves -= 1;
    const { node, record } = leaf.build((pack) => {
      const ref = refs.get(pack);
      if (!ref) throw new RangeError(`pack ${pack} is unknown`);
      return ref;
    });
    await this.#onLeaf(node, record);
  }

  #flushWorkers(last = false): void {
    for (let worker = 0; worker < this.#options.settings.workers; worker++)
      this.#pool.send(worker, { kind: "flush", last });
  }

  #elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  #limitingStage(): Bottleneck {
    return this.#memory.times.limitingStage(STAGES, this.#elapsedMs());
  }
}

function hasAny(previous: MappedLeaf, firstSlot: number, blocks: number): boolean {
  return previous.leaf?.blocks.slice(firstSlot, firstSlot + blocks).some(Boolean) ?? false;
}

function ceilBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}
