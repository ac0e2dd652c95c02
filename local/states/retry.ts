import type { Retrier } from "./definition.ts";
import { type Failure, matchesError } from "./failure.ts";

export interface RetryDecision {
  /** Which of the state's retriers takes this attempt. */
  retrier: number;
  delayMs: number;
}

/**
 * Says whether and when a failed state is tried again. `attempts` counts the retries that each retrier has
 * spent; `random` gives a number from 0 up to 1, used only with `JitterStrategy: FULL`.
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
  // The first retrier that matches decides: when it is exhausted, a later one gets no turn.
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
/** One year: keeps an unbounded backoff inside what a date can hold. */
const LONGEST_DELAY_SECONDS = 31_622_400;
