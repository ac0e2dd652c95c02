import { setTimeout as sleep } from "node:timers/promises";
import { CausewayError } from "#shared/errors.ts";

export interface Persistence {
  /** How long to wait after so many failures in a row. */
  delayMs: (failures: number) => number;
  /** Before it waits. */
  onTrouble?: ((error: CausewayError, delayMs: number) => void) | undefined;
  /** After it has waited for so long in all, the next failure is final; for ever if absent. */
  patienceMs?: number;
  /** Ends it; the promise is rejected then. */
  signal?: AbortSignal;
}

/** Asks again as long as the answer may still come: what is not retryable is thrown. */
export async function persistently<T>(
  ask: () => Promise<T>,
  { delayMs, onTrouble, patienceMs = Number.POSITIVE_INFINITY, signal }: Persistence,
): Promise<T> {
  for (let failures = 1, waitedMs = 0; ; failures++) {
    signal?.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof CausewayError) || !error.retryable || waitedMs > patienceMs) throw error;
      const pauseMs = delayMs(failures);
      onTrouble?.(error, pauseMs);
      await sleep(pauseMs, undefined, { signal });
      waitedMs += pauseMs;
    }
  }
}
