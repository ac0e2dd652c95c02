import { backoffMs, type RetryOptions, retry } from "#shared/retry.ts";
import {
  type GetOptions,
  ObjectExistsError,
  type ObjectStore,
  type ObjectSummary,
  type PutOptions,
  TransientStoreError,
} from "./object-store.ts";

export interface RetryingStoreOptions {
  /** A number from 0 to 1; spreads the retries of many agents. */
  random: () => number;
  sleep?: RetryOptions<TransientStoreError>["sleep"];
  /** Called before each further attempt at an operation that has failed at least twice. */
  onTrouble?: (trouble: StoreTrouble) => void;
}

/** A store that does not answer as it should. */
export interface StoreTrouble {
  /** The last error's message. */
  problem: string;
  failures: number;
  /** How long it waits now. */
  pauseMs: number;
}

/** A single failure is usual under load. */
const TROUBLE_FAILURES = 2;
/** With the pauses between them, about two minutes. */
const ATTEMPTS = 10;
const FIRST_DELAY_MS = 200;

/**
 * Retries what failed with a `TransientStoreError`, with growing, jittered pauses. All operations are safe to
 * repeat.
 */
export class RetryingStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #options: RetryingStoreOptions;

  constructor(store: ObjectStore, options: RetryingStoreOptions) {
    this.#store = store;
    this.#options = options;
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    await this.#retry(options.signal, async (attempt) => {
      try {
        await this.#store.put(key, bytes, options);
      } catch (error) {
        // An attempt whose answer was lost may have stored it. It is ours only if it has our bytes.
        if (attempt === 1 || !(error instanceof ObjectExistsError)) throw error;
        if (!(await this.#store.get(key)).equals(bytes)) throw error;
      }
    });
  }

  get(key: string, options?: GetOptions): Promise<Buffer> {
    return this.#retry(options?.signal, () => this.#store.get(key, options));
  }

  /** After a failure it lists again, and continues after the last key that it returned. */
  async *list(prefix: string): AsyncIterable<ObjectSummary> {
    let last = "";
    let objects: AsyncIterator<ObjectSummary> | undefined;
    const next = async () => {
      objects ??= this.#store.list(prefix)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const { done, value } = await objects.next();
          if (done || value.key > last) return done ? undefined : value;
        }
      } catch (error) {
        objects = undefined;
        throw error;
      }
    };
    try {
      for (;;) {
        const object = await this.#retry(undefined, next);
        if (object === undefined) return;
        last = object.key;
        yield object;
      }
    } finally {
      await (objects as AsyncIterator<ObjectSummary> | undefined)?.return?.();
    }
  }

  #retry<T>(signal: AbortSignal | undefined, work: (attempt: number) => Promise<T>): Promise<T> {
    const { random, sleep, onTrouble } = this.#options;
    let failures = 0;
    return retry(work, {
      isRetryable: (error): error is TransientStoreError => error instanceof TransientStoreError,
      attempts: ATTEMPTS,
      delayMs: (count) => backoffMs(count - 1, random(), FIRST_DELAY_MS),
      onRetry: ({ message }, pauseMs) => {
        failures += 1;
        if (failures >= TROUBLE_FAILURES) onTrouble?.({ problem: message, failures, pauseMs });
      },
      signal,
      ...(sleep ? { sleep } : {}),
    });
  }
}
