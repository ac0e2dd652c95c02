import { setMaxListeners } from "node:events";

/**
 * Pieces of work that fail as one: the first failure, or the caller's abort, ends all of them. A call that
 * does not return is abandoned then.
 */
export class FirstFailure {
  readonly #stop = new AbortController();
  readonly #pending = new Set<Promise<void>>();
  readonly #caller: AbortSignal | undefined;
  #failure: unknown;

  /** `caller`: its abort counts as a failure, with its reason. */
  constructor(caller?: AbortSignal) {
    this.#caller = caller;
    // Each promise that is awaited with `orFailure` listens.
    setMaxListeners(0, this.signal);
    caller?.addEventListener("abort", this.#onAbort);
    if (caller?.aborted) this.#onAbort();
  }

  /** Aborted with the first failure as its reason, or at the end. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The first failure; undefined while there is none. Later failures only follow from it. */
  get failure(): unknown {
    return this.#failure;
  }

  fail(error: unknown): void {
    if (this.signal.aborted) return;
    this.#failure = error;
    this.#stop.abort(error);
  }

  /** The promise's result; rejects with the first failure as soon as there is one. */
  orFailure<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  /** Keeps hold of work that has started: `drain` waits for it, and its failure ends everything. */
  track(work: Promise<void>): void {
    const tracked = this.orFailure(work).then(
      () => void this.#pending.delete(tracked),
      (error: unknown) => {
        this.#pending.delete(tracked);
        this.fail(error);
      },
    );
    this.#pending.add(tracked);
  }

  /**
   * Resolves once all tracked work is done, including work that is tracked meanwhile. Rejects with the first
   * failure.
   */
  async drain(): Promise<void> {
    while (this.#pending.size > 0) await this.orFailure(Promise.all(this.#pending));
    if (this.signal.aborted) throw this.signal.reason;
  }

  /**
   * Stops tracked work, calls `release`, and resolves when nothing is under way. Always call it. Rejects
   * only if `release` does.
   */
  async end(release: () => Promise<void>): Promise<void> {
    this.#caller?.removeEventListener("abort", this.#onAbort);
    this.#stop.abort(this.#failure);
    await release();
    await Promise.allSettled(this.#pending);
  }

  readonly #onAbort = (): void => this.fail(this.#caller?.reason);
}
