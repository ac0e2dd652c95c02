import middy from "@middy/core";
import type { FunctionName } from "#shared/environment.ts";
import { errorFields } from "#shared/log.ts";
import { type Build, lambdaRuntime, lazily, type Runtime } from "./runtime.ts";

export type IngestFunction = Extract<FunctionName, `ingest/${string}`>;

/**
 * A Lambda function behind a topic rule. `run` judges what it is given itself, since nobody is there to be told; what it throws makes Lambda
 * try again, so it throws only what may pass.
 */
export function ingestHandler<N extends IngestFunction, D>(
  bundle: { name: N; build: Build<N, D>; run(event: unknown, deps: D): Promise<void> },
  runtime: Runtime = lambdaRuntime(bundle.name),
) {
  const deps = lazily(bundle.name, bundle.build, runtime);
  return middy<unknown, void>({ timeoutEarlyInMillis: 0 })
    .onError(({ error }) => runtime.log.error("event not taken", errorFields(error)))
    .handler((event: unknown): Promise<void> => bundle.run(event, deps()));
}
