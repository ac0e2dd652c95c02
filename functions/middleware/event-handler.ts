import middy from "@middy/core";
import type { FunctionName } from "#shared/environment.ts";
import { CausewayError } from "#shared/errors.ts";
import { errorFields } from "#shared/log.ts";
import { type Build, lambdaRuntime, lazily, type Runtime } from "./runtime.ts";

export type EventFunction = Extract<FunctionName, `${"ingest" | "schedule"}/${string}`>;

/**
 * A Lambda function behind a topic rule or a schedule. `run` validates its input itself, because no caller
 * waits for an answer. After a temporary error, Lambda invokes the function again, twice at most. Any other
 * error is logged and the event is dropped, because a retry would fail the same way.
 */
export function eventHandler<N extends EventFunction, D>(
  bundle: { name: N; build: Build<N, D>; run(event: unknown, deps: D): Promise<void> },
  runtime: Runtime = lambdaRuntime(bundle.name),
) {
  const deps = lazily(bundle.name, bundle.build, runtime);
  return middy<unknown, void>({ timeoutEarlyInMillis: 0 })
    .onError(({ error }) => runtime.log.error("event dropped", errorFields(error)))
    .handler(async (event: unknown): Promise<void> => {
      try {
        await bundle.run(event, deps());
      } catch (error) {
        if (!isPermanent(error)) throw error;
        runtime.log.error("event dropped", errorFields(error));
      }
    });
}

/**
 * Our own errors say so themselves. `ValidationException`: AWS refuses the request, for example because an
 * item exceeds its limits. `RangeError`: the event is nested too deeply for the stack.
 */
function isPermanent(error: unknown): boolean {
  if (error instanceof CausewayError) return !error.retryable;
  return error instanceof RangeError || (error instanceof Error && error.name === "ValidationException");
}
