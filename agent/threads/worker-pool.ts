import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import { CausewayError } from "#shared/errors.ts";
import { collectSoon } from "./garbage.ts";

/** A worker thread ended or threw unexpectedly. */
export class WorkerFailedError extends CausewayError {
  override readonly name = "WorkerFailedError";
  readonly retryable = true;
  readonly hint = "Start the operation again; it resumes where it stopped. If this repeats, report it.";
}

export interface WorkerPoolOptions<Out> {
  script: URL;
  /** How many threads start at once. */
  started: number;
  dataOf: (worker: number) => unknown;
  onMessage: (message: Out, worker: number) => void;
  onError: (error: Error) => void;
}

/**
 * Worker threads that each take one kind of message. One starts when it gets its first message, unless it has
 * started already. Always end the pool: Node can hang at exit while workers run.
 */
export class WorkerPool<In, Out> {
  readonly #options: WorkerPoolOptions<Out>;
  readonly #workers = new Map<number, Worker>();
  #ending = false;

  constructor(options: WorkerPoolOptions<Out>) {
    this.#options = options;
    for (let number = 0; number < options.started; number++) this.#workers.set(number, this.#start(number));
  }

  /** Has no effect once the pool ends. */
  send(number: number, message: In): void {
    if (this.#ending) return;
    const worker = this.#workers.get(number) ?? this.#start(number);
    this.#workers.set(number, worker);
    worker.postMessage(message);
  }

  /** Ends all threads, whatever they are doing, and waits until they have ended. */
  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all([...this.#workers.values()].map((worker) => worker.terminate()));
    this.#workers.clear();
    collectSoon();
  }

  #start(number: number): Worker {
    const { script, dataOf, onMessage, onError } = this.#options;
    const worker = new Worker(script, {
      workerData: dataOf(number),
      env: environment(),
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2 },
    });
    worker.on("message", (message: Out) => onMessage(message, number));
    worker.on("error", (cause) => onError(workerError(cause)));
    worker.on("exit", (code) => {
      if (!this.#ending) onError(new WorkerFailedError(`a worker ended early with code ${code}`));
    });
    return worker;
  }
}

/**
 * The environment of a thread: only the compile cache, if the agent enabled one. Without it each thread loads
 * the code that strips types, some 25 MiB.
 */
function environment(): Record<string, string> {
  const cache = getCompileCacheDir();
  // The folder of this version is inside the given one.
  return cache ? { NODE_COMPILE_CACHE: dirname(cache) } : {};
}

/** Typed errors lose their class between threads but keep their name, by which they are handled. */
function workerError(cause: unknown): Error {
  if (cause instanceof Error && cause.name !== "Error") return cause;
  return new WorkerFailedError(cause instanceof Error ? cause.message : String(cause), { cause });
}
