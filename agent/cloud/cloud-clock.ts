/** Answers give whole seconds and take a while; AWS refuses requests that are off by five minutes. */
const TOLERANCE_MS = 60_000;

/**
 * This machine's clock, corrected by the cloud's time if it is far off: signed requests are refused at a
 * wrong time.
 */
export class CloudClock {
  readonly #ownMs: () => number;
  #aheadMs = 0;

  /** `ownMs` is this machine's clock: milliseconds since 1970. */
  constructor(ownMs: () => number) {
    this.#ownMs = ownMs;
  }

  /** Milliseconds since 1970. */
  readonly now = (): number => this.#ownMs() - this.#aheadMs;

  /** Takes the time that the cloud gave just now, if it gave one. */
  take(time: Date | undefined): void {
    if (!time) return;
    const aheadMs = this.#ownMs() - time.getTime();
    this.#aheadMs = Math.abs(aheadMs) > TOLERANCE_MS ? aheadMs : 0;
  }
}
