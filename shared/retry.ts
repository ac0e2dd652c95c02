import { setTimeout as wait } from "node:timers/promises";
import { CausewayError } from "./errors.ts";

const FIRST_MS = 500;
const MOST_MS = 30_000;

export interface RetryOptions<E> {
  /** Which errors to retry; any other is thrown at once. */
  isRetryable: (error: unknown) => error is E;
  /** The total number of attempts. No limit if absent. */
  attempts?: number;
  /** The pause after `failures` failures in a row; no pause if absent. */
  delayMs?: (failures: number) => number;
  /** Once the pauses add up to more than this, the next failure is final. */
  patienceMs?: number | undefined;
  /** Runs before each pause. */
  onRetry?: ((error: E, delayMs: number) => void) | undefined;
  /**
   * Stops the retries between attempts and during pauses: the promise rejects with the signal's reason, or an
   * `AbortError`.
   */
  signal?: AbortSignal | undefined;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * The pause after `failures` failures in a row: it doubles with each, up to half a minute. `random`, from 0
 * to 1, decides one half of it, so that agents that lost their connection together do not reconnect together.
 * `firstMs` is the longest pause after no failure.
 */
export function backoffMs(failures: number, random: number, firstMs: number = FIRST_MS): number {
  const ceiling = Math.min(MOST_MS, firstMs * 2 ** Math.min(failures, 16));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}

/** Whether this is a Causeway error that a retry can solve. */
export function isRetryableError(error: unknown): error is CausewayError {
  return error instanceof CausewayError && error.retryable;
}

/**
 * Runs `work` until it succeeds, and resolves with its result. Throws the last error. `attempt` starts at 1.
 */
export async function retry<T, E>(
  work: (attempt: number) => Promise<T>,
  options: RetryOptions<E>,
): Promise<T> {
  const {
    isRetryable,
    attempts = Number.POSITIVE_INFINITY,
    delayMs,
    signal,
    onRetry,
    sleep = pause,
  } = options;
  const { patienceMs = Number.POSITIVE_INFINITY } = options;
  for (let attempt = 1, waitedMs = 0; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      if (!isRetryable(error) || attempt >= attempts || waitedMs > patienceMs) throw error;
      const ms = delayMs?.(attempt) ?? 0;
      onRetry?.(error, ms);
      if (ms > 0) await sleep(ms, signal);
      waitedMs += ms;
    }
  }
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await wait(ms, undefined, signal ? { signal } : {});
}
