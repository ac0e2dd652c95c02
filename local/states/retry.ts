import type { Retrier } from "./definition.ts";
import { type Failure, matchesError } from "./failure.ts";

export interface RetryDecision {
  /** The index of the retrier that counts this attempt. */
  retrier: number;
  delayMs: number;
}

/**
 * Decides whether and when a failed state is retried. `attempts` counts the retries that each retrier has
 * used. `random` returns a number from 0 up to 1. It is used only with `JitterStrategy: FULL`.
 */
export function decideRetry(
  retriers: readonly Retrier[] | undefined,
  attempts: readonly number[],
  failure: Failure,
  random: () => number,
): RetryDecision | undefined {
  const index = retriers?.findIndex((retrier) => matchesError(retrier.ErrorEquals, failure)) ?? -1;
  const retrier = retriers?.[index];
  const spent = attempts[index] ?? 0;
  // The first retrier that matches decides. If it is exhausted, later ones are not tried.
  if (!retrier || spent >= retrier.MaxAttempts) return undefined;
  const uncapped = retrier.IntervalSeconds * retrier.BackoffRate ** spent;
  const seconds = Math.min(
    uncapped,
    retrier.MaxDelaySeconds ?? Number.POSITIVE_INFINITY,
    LONGEST_DELAY_SECONDS,
  );
  const delayMs = Math.round(seconds * 1000 * (retrier.JitterStrategy === "FULL" ? random() : 1));
  return { retrier: index, delayMs };
}
/** One year. It keeps an unbounded backoff within the range of a date. */
const LONGEST_DELAY_SECONDS = 31_622_400;
