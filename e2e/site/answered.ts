import { CausewayError } from "#shared/errors.ts";

/** The control plane's answer; `undefined` while it is away, or too busy to answer. */
export async function answered<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof CausewayError && error.retryable) return undefined;
    throw error;
  }
}
