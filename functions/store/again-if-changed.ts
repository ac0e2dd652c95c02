import { ConcurrentChangeError } from "#shared/errors.ts";
import { retry } from "#shared/retry.ts";

/** How often an agent, an operator and a workflow may change one record between our read and our write. */
const ATTEMPTS = 8;

/** Runs `work`, which reads and then writes on the condition that nothing changed, again if something did. */
export function againIfChanged<T>(work: () => Promise<T>): Promise<T> {
  return retry(work, {
    isRetryable: (error): error is ConcurrentChangeError => error instanceof ConcurrentChangeError,
    attempts: ATTEMPTS,
  });
}
