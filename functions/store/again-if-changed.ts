import { ConcurrentChangeError } from "#shared/errors.ts";
import { retry } from "#shared/retry.ts";

/** How many times to retry when another request changes the record between our read and our write. */
const ATTEMPTS = 8;

/** Runs `work`, which reads and then writes conditionally, and runs it again if the record changed. */
export function againIfChanged<T>(work: () => Promise<T>): Promise<T> {
  return retry(work, {
    isRetryable: (error): error is ConcurrentChangeError => error instanceof ConcurrentChangeError,
    attempts: ATTEMPTS,
  });
}
