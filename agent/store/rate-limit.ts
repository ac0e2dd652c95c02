import { setTimeout as sleep } from "node:timers/promises";
import type { Pace } from "./object-store.ts";

export interface RateLimitOptions {
  bytesPerSecond: number;
  /** Milliseconds from any start; never decreases. */
  now: () => number;
  delay?: (ms: number) => Promise<void>;
}

/** Limits all callers together to `bytesPerSecond`. After a pause, one second's worth passes at once. */
export function createRateLimit({ bytesPerSecond, now, delay = sleep }: RateLimitOptions): Pace {
  // The time at which everything let through so far is paid for. Callers queue by moving it forward before
  // they wait.
  let paidAt = now();
  return async (bytes) => {
    paidAt = Math.max(paidAt, now() - 1000) + (bytes * 1000) / bytesPerSecond;
    const waitMs = paidAt - now();
    if (waitMs > 0) await delay(waitMs);
  };
}
