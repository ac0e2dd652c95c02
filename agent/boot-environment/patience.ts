/**
 * How long a boot environment stays that has nothing to do: a conversion that ended without its knowledge,
 * say, would keep it for ever, since the control plane can be heard all the while.
 */
export class Patience {
  readonly #limitMs: number;
  #lastWorkMs: number;

  constructor(nowMs: number, limitMs: number) {
    this.#lastWorkMs = nowMs;
    this.#limitMs = limitMs;
  }

  /** Whether it has not run out: a command runs, or has run within the limit. */
  at(nowMs: number, { working }: { working: boolean }): boolean {
    if (working) this.#lastWorkMs = nowMs;
    return nowMs - this.#lastWorkMs < this.#limitMs;
  }
}
