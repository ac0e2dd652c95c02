import { setTimeout as sleep } from "node:timers/promises";
import type { Pace } from "./object-store.ts";

export interface RateLimitOptions {
  bytesPerSecond: number;
  /** Milliseconds, from any start, never going back. */
  now: () => number;
  delay?: (ms: number) => Promise<void>;
}

/** Slows callers down to so many bytes a second in all. A second's worth may go at once after a pause. */
export function createRateLimit({ bytesPerSecond, now, delay = sleep }: RateLimitOptions): Pace {
  // When what has been let through is paid for. Callers queue by moving it on before they wait.
  let paidAt = now();
  return async (bytes) => {
    paidAt = Math.max(paidAt, now() - 1000) + (bytes * 1000) / bytesPerSecond;
    const waitMs = paidAt - now();
    if (waitMs > 0) await delay(waitMs);
  };
}
