import type { Bottleneck, Progress } from "#shared/protocol/common.ts";

const REPORT_EVERY_MS = 250;

export type Meter = Pick<ProgressMeter, "expect" | "limitedBy" | "add" | "skip" | "report">;

/** Counts the bytes of a transfer, and reports how far it is, how fast, and what limits it. */
export class ProgressMeter {
  readonly #report: (progress: Progress) => void;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  #reportedMs: number;
  #bottleneck: (() => Bottleneck) | undefined;
  #bytesTotal = 0;
  #bytesDone = 0;
  #bytesBefore = 0;

  /** `report` is called a few times a second at most. `nowMs`: monotonic milliseconds. */
  constructor(report: (progress: Progress) => void, nowMs = () => performance.now()) {
    this.#report = report;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
    this.#reportedMs = this.#startedMs;
  }

  get elapsedMs(): number {
    return this.#nowMs() - this.#startedMs;
  }

  /**
   * A part of this transfer, whose bytes the total has already: `expected` of them. If the part turns out to
   * have more or fewer, the total follows.
   */
  part(expected: number): Meter {
    return {
      expect: (bytes) => this.expect(bytes - expected),
      limitedBy: (bottleneck) => this.limitedBy(bottleneck),
      add: (bytes) => this.add(bytes),
      skip: (bytes) => this.skip(bytes),
      report: () => this.report(),
    };
  }

  /** Adds to the total. */
  expect(bytes: number): void {
    this.#bytesTotal += bytes;
  }

  /** From now on, each report calls this to say what limits the transfer. */
  limitedBy(bottleneck: () => Bottleneck): void {
    this.#bottleneck = bottleneck;
  }

  /** Counts bytes that are done. */
  add(bytes: number): void {
    this.#bytesDone += bytes;
    if (this.#nowMs() - this.#reportedMs >= REPORT_EVERY_MS) this.report();
  }

  /** Counts bytes that an earlier attempt has done; they say nothing about the rate. */
  skip(bytes: number): void {
    this.#bytesBefore += bytes;
    this.add(bytes);
  }

  /** Reports at once, for example after the last bytes. */
  report(): void {
    this.#reportedMs = this.#nowMs();
    const elapsedMs = Math.max(1, this.elapsedMs);
    const rate = ((this.#bytesDone - this.#bytesBefore) * 1000) / elapsedMs;
    const left = Math.max(0, this.#bytesTotal - this.#bytesDone);
    this.#report({
      bytesDone: this.#bytesDone,
      bytesTotal: this.#bytesTotal,
      rateBytesPerSecond: rate,
      ...(rate > 0 && { remainingSeconds: left / rate }),
      ...(this.#bottleneck && { bottleneck: this.#bottleneck() }),
    });
  }
}
