/** After as much work it rests. */
const TURN_MS = 20;

/** The time of work that ends after a budget. Where it must not disturb, it rests as long as it works. */
export class Turns {
  readonly #budgetMs: number;
  readonly #rests: boolean;
  readonly #startedAt = performance.now();
  readonly #cell = new Int32Array(new SharedArrayBuffer(4));
  #turnAt = this.#startedAt;

  constructor(budgetMs: number, { rests }: { rests: boolean }) {
    this.#budgetMs = budgetMs;
    this.#rests = rests;
  }

  /** Whether this share of the time is over. */
  isOver(share: number): boolean {
    return performance.now() - this.#startedAt >= share * this.#budgetMs;
  }

  /** Blocks the thread for as long as it has worked since it last did, once that is worth it. */
  rest(): void {
    const worked = performance.now() - this.#turnAt;
    if (!this.#rests || worked < TURN_MS) return;
    Atomics.wait(this.#cell, 0, 0, worked);
    this.#turnAt = performance.now();
  }

  /** A question whether work that begins now may continue; at most for this share of the time. */
  within(share: number): () => boolean {
    const until = performance.now() + share * this.#budgetMs;
    return () => {
      this.rest();
      return !this.isOver(1) && performance.now() < until;
    };
  }
}
