import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { BLOB_KIND, type BlobSealer, UNIT_BYTES } from "#shared/format/blob.ts";
import { BLOCK_BYTES, BlockNamer } from "#shared/format/block.ts";
import { createCompressor } from "#shared/format/compression.ts";
import { BlockMismatchError, DamagedObjectError } from "#shared/format/errors.ts";
import { deriveBlockIdKey } from "#shared/format/keys.ts";
import { createBlobOpener } from "#shared/format/pack.ts";
import { GARBAGE_BYTES, GarbageLimit } from "../threads/garbage.ts";
import { type RestoreGeometry, RestoreMemory } from "./restore-memory.ts";
import { type FileDescriptors, type OutputRun, RunNotWrittenError, RunWriter } from "./run-writer.ts";

export interface RestoreWorkerData {
  worker: number;
  geometry: RestoreGeometry;
  memory: SharedArrayBuffer;
  dataKey: Uint8Array;
  sizeBytes: number;
  /** Write to this file; if absent, outputs go to the main thread. */
  file?: FileDescriptors;
}

/** A unit in the fetched bytes, and the disk's blocks that it expands to. */
export interface RestoreUnit {
  number: number;
  offset: number;
  sealedBytes: number;
  blocks: { at: number; block: number; id: Uint8Array }[];
}

/** Some units of one pack, fetched into a slot that starts at `offset` of the pack. */
export interface RestoreTask {
  slot: number;
  offset: number;
  salt: Uint8Array;
  /** The pack's key, for errors. */
  object: string;
  units: RestoreUnit[];
}

export type FromRestoreWorker =
  | { kind: "output"; slot: number; runs: OutputRun[] }
  | { kind: "written"; bytes: number }
  | { kind: "unwritten"; code: string; message: string; bytes: number }
  | { kind: "done"; slot: number }
  | { kind: "damaged"; object: string; message: string }
  | { kind: "mismatch"; block: number; object: string };

/** The work of one thread: authenticates, expands, checks each block against its id, and passes it on. */
class UnitRestorer {
  readonly #worker: number;
  readonly #memory: RestoreMemory;
  readonly #dataKey: Uint8Array;
  readonly #namer: BlockNamer;
  readonly #compressor = createCompressor();
  readonly #send: (message: FromRestoreWorker) => void;
  readonly #writer: RunWriter | undefined;
  readonly #garbage = new GarbageLimit(GARBAGE_BYTES);
  #elapsedMs = 0;
  #writingMs = 0;
  #output: { slot: number; used: number; runs: OutputRun[] } | undefined;

  constructor(
    { worker, geometry, memory, dataKey, sizeBytes, file }: RestoreWorkerData,
    send: (message: FromRestoreWorker) => void,
  ) {
    this.#worker = worker;
    this.#memory = RestoreMemory.attach(geometry, memory);
    this.#dataKey = dataKey;
    this.#namer = new BlockNamer(deriveBlockIdKey(dataKey));
    this.#send = send;
    if (file) this.#writer = new RunWriter(file, sizeBytes);
  }

  restore(task: RestoreTask): void {
    const from = performance.now();
    const sealer = createBlobOpener(this.#dataKey, "data", task.salt);
    const fetched = this.#memory.fetched(task.slot);
    for (const unit of task.units) this.#restoreUnit(task, unit, fetched, sealer);
    this.#flush();
    this.#elapsedMs += performance.now() - from;
    const blockedMs = this.#writingMs + this.#memory.blockedMs;
    this.#memory.times.set(this.#worker, { busyMs: this.#elapsedMs - blockedMs, blockedMs });
    this.#send({ kind: "done", slot: task.slot });
  }

  #restoreUnit(task: RestoreTask, unit: RestoreUnit, fetched: Buffer, sealer: BlobSealer): void {
    const start = unit.offset - task.offset;
    const sealed = fetched.subarray(start, start + unit.sealedBytes);
    const { outputBytes } = this.#memory.geometry;
    // A unit is at most a quarter of a slot; its length is known only once it is open.
    if (this.#output && outputBytes - this.#output.used < UNIT_BYTES) this.#flush();
    this.#output ??= { slot: this.#memory.takeOutput(), used: 0, runs: [] };
    const { slot, used, runs } = this.#output;
    const using = { compressor: this.#compressor, output: this.#memory.output(slot).subarray(used) };
    const content = sealer.open(sealed, unit, task.object, using);
    if (content.kind !== BLOB_KIND.unit) throw new DamagedObjectError(task.object, "a blob is not a unit");
    this.#output.used += content.bytes.length;
    this.#garbage.add(unit.sealedBytes);
    for (const { at, block, id } of unit.blocks) {
      const bytes = content.bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
      if (bytes.length !== BLOCK_BYTES || !this.#namer.idOf(bytes).equals(id)) {
        throw new BlockMismatchError(block, task.object);
      }
      addRun(runs, block, used + at * BLOCK_BYTES);
    }
  }

  #flush(): void {
    if (!this.#output) return;
    const { slot, runs } = this.#output;
    this.#output = undefined;
    if (!this.#writer) {
      this.#send({ kind: "output", slot, runs });
      return;
    }
    const output = this.#memory.output(slot);
    const from = performance.now();
    const bytes = runs.reduce((sum, run) => sum + (this.#writer?.write(run, output) ?? 0), 0);
    this.#writingMs += performance.now() - from;
    this.#memory.releaseOutput(slot);
    this.#send({ kind: "written", bytes });
  }
}

function addRun(runs: OutputRun[], block: number, at: number): void {
  const last = runs.at(-1);
  const follows =
    last && last.firstBlock + last.blocks === block && last.at + last.blocks * BLOCK_BYTES === at;
  if (follows) last.blocks += 1;
  else runs.push({ firstBlock: block, at, blocks: 1 });
}

if (parentPort) {
  const port = parentPort;
  const send = (message: FromRestoreWorker) => port.postMessage(message);
  const restorer = new UnitRestorer(workerData as RestoreWorkerData, send);
  // Pools terminate their threads abruptly, so this is the moment to save compiled modules.
  flushCompileCache();
  port.on("message", (task: RestoreTask) => {
    try {
      restorer.restore(task);
    } catch (error) {
      // Typed errors lose their class between threads.
      if (error instanceof DamagedObjectError)
        send({ kind: "damaged", object: error.object, message: error.message });
      else if (error instanceof BlockMismatchError)
        send({ kind: "mismatch", block: error.block, object: task.object });
      else if (error instanceof RunNotWrittenError)
        send({ kind: "unwritten", code: error.code, message: error.message, bytes: error.bytes });
      else throw error;
    }
  });
}
