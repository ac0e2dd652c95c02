/**
 * How long a boot environment waits without work. If its conversion ended without its knowledge, it would
 * otherwise wait for ever, because the control plane still answers it.
 */
export class IdleLimit {
  readonly #limitMs: number;
  #lastWorkMs: number;

  constructor(nowMs: number, limitMs: number) {
    this.#lastWorkMs = nowMs;
    this.#limitMs = limitMs;
  }

  /** Whether a command is running, or was running within the limit. */
  isWithin(nowMs: number, { working }: { working: boolean }): boolean {
    if (working) this.#lastWorkMs = nowMs;
    return nowMs - this.#lastWorkMs < this.#limitMs;
  }
}
