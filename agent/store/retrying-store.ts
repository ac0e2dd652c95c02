import { setTimeout as sleep } from "node:timers/promises";
import {
  type GetOptions,
  ObjectExistsError,
  type ObjectStore,
  type ObjectSummary,
  type PutOptions,
  TransientStoreError,
} from "./object-store.ts";

export interface RetryOptions {
  /** Attempts in all; 10 by default, which spans about two minutes. */
  attempts?: number;
  /** The first pause's upper bound, doubled for each attempt up to 30 s. */
  firstDelayMs?: number;
  /** A number from 0 to 1: spreads the retries of many agents. */
  random: () => number;
  delay?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Repeats what failed with a `TransientStoreError`, with growing, jittered pauses. All operations are safe to repeat. */
export class RetryingStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #options: Required<RetryOptions>;

  constructor(store: ObjectStore, options: RetryOptions) {
    this.#store = store;
    this.#options = {
      attempts: 10,
      firstDelayMs: 200,
      delay: async (ms, signal) => {
        await sleep(ms, undefined, signal ? { signal } : {});
      },
      ...options,
    };
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

  /** Starts over after a failure, from after the last key that was given out. */
  async *list(prefix: string): AsyncIterable<ObjectSummary> {
    let last = "";
    for (let attempt = 1; ; attempt++) {
      try {
        for await (const object of this.#store.list(prefix)) {
          if (object.key <= last) continue;
          last = object.key;
          yield object;
        }
        return;
      } catch (error) {
        await this.#pause(error, attempt);
      }
    }
  }

  async #retry<T>(signal: AbortSignal | undefined, run: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      try {
        return await run(attempt);
      } catch (error) {
        await this.#pause(error, attempt, signal);
      }
    }
  }

  async #pause(error: unknown, attempt: number, signal?: AbortSignal): Promise<void> {
    const { attempts, firstDelayMs, random, delay } = this.#options;
    if (!(error instanceof TransientStoreError) || attempt >= attempts) throw error;
    const bound = Math.min(30_000, firstDelayMs * 2 ** (attempt - 1));
    await delay(bound * (0.5 + random() / 2), signal);
  }
}
