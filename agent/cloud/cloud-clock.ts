/** Answers tell seconds and take a while; requests are refused from five minutes on. */
const TOLERANCE_MS = 60_000;

/**
 * This machine's clock, put right by what the cloud says where it is far off: signed requests are refused at
 * a wrong time.
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

  /** The cloud said just now what time it is, if it said so at all. */
  hear(time: Date | undefined): void {
    if (!time) return;
    const aheadMs = this.#ownMs() - time.getTime();
    this.#aheadMs = Math.abs(aheadMs) > TOLERANCE_MS ? aheadMs : 0;
  }
}
