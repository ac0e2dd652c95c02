import { setTimeout as sleep } from "node:timers/promises";
import type { Pace } from "./object-store.ts";

export interface RateLimitOptions {
  /** The limit in force; `undefined`: none. Asked at least once in a second while callers wait. */
  bytesPerSecond: () => number | undefined;
  /** Milliseconds from any start; never decreases. */
  now: () => number;
  delay?: (ms: number) => Promise<void>;
}

/** A limit that changes takes effect within this time. */
const STEP_MS = 1000;

/**
 * Limits all callers together to the rate in force, first come, first served. After a pause, one second's
 * worth passes at once.
 */
export function createRateLimit({ bytesPerSecond, now, delay = sleep }: RateLimitOptions): Pace {
  // Counts of bytes since the start: what callers asked for, and what may pass by now.
  let asked = 0;
  let passed = 0;
  let countedAt = now();
  const count = (): number | undefined => {
    const rate = bytesPerSecond();
    const time = now();
    const more = rate === undefined ? Number.POSITIVE_INFINITY : (rate * (time - countedAt)) / 1000;
    passed = Math.min(passed + more, asked + (rate ?? 0));
    countedAt = time;
    return rate;
  };
  return async (bytes) => {
    count();
    asked += bytes;
    const turn = asked;
    for (let rate = count(); rate !== undefined && passed < turn; rate = count()) {
      await delay(Math.min(((turn - passed) * 1000) / rate, STEP_MS));
    }
  };
}
