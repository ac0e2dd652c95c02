import middy from "@middy/core";
import type { FunctionName } from "#shared/environment.ts";
import { CausewayError } from "#shared/errors.ts";
import { errorFields } from "#shared/log.ts";
import { type Build, lambdaRuntime, lazily, type Runtime } from "./runtime.ts";

export type IngestFunction = Extract<FunctionName, `ingest/${string}`>;

/**
 * A Lambda function behind a topic rule. `run` judges what it is given itself, since no caller waits for an
 * answer. An error that may pass makes Lambda invoke the function again, twice at most; any other one is
 * logged and the event is dropped, because it would fail the same way the next time.
 */
export function ingestHandler<N extends IngestFunction, D>(
  bundle: { name: N; build: Build<N, D>; run(event: unknown, deps: D): Promise<void> },
  runtime: Runtime = lambdaRuntime(bundle.name),
) {
  const deps = lazily(bundle.name, bundle.build, runtime);
  return middy<unknown, void>({ timeoutEarlyInMillis: 0 })
    .onError(({ error }) => runtime.log.error("event not taken", errorFields(error)))
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
 * Our own errors say it. `ValidationException`: AWS does not take the request as it is, such as an item over
 * its limits. `RangeError`: what was sent nests deeper than the stack is.
 */
function isPermanent(error: unknown): boolean {
  if (error instanceof CausewayError) return !error.retryable;
  return error instanceof RangeError || (error instanceof Error && error.name === "ValidationException");
}
