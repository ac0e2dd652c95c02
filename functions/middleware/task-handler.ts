import middy from "@middy/core";
import type * as z from "zod";
import type { FunctionName } from "#shared/environment.ts";
import { CausewayError, type Failure, failureOf, ServiceUnavailableError } from "#shared/errors.ts";
import { errorFields } from "#shared/log.ts";
import { type Build, lambdaRuntime, lazily, type Runtime } from "./runtime.ts";
import { validate } from "./validate.ts";

export type TaskFunction = Extract<FunctionName, `tasks/${string}`>;

/**
 * A failure as an error for Lambda, which passes on only a name and a message. The message is the failure as
 * JSON.
 */
class ReportedError extends Error {
  constructor(failure: Failure, cause: unknown) {
    super(JSON.stringify(failure), { cause });
    this.name = failure.name;
  }
}

/**
 * A Lambda function that is a step of a workflow. It validates its input and throws errors by their names, so
 * that the workflow can catch them.
 */
export function taskHandler<N extends TaskFunction, D, I extends z.ZodType, O>(
  bundle: { name: N; input: I; build: Build<N, D>; run(input: z.output<I>, deps: D): Promise<O> },
  runtime: Runtime = lambdaRuntime(bundle.name),
) {
  const deps = lazily(bundle.name, bundle.build, runtime);
  return middy<unknown, O>({ timeoutEarlyInMillis: 0 })
    .use(reportedErrors(runtime))
    .before((request) => {
      request.event = validate(bundle.input, request.event);
    })
    .handler((input: unknown): Promise<O> => bundle.run(input as z.output<I>, deps()));
}

function reportedErrors<O>({ log }: Runtime): middy.MiddlewareObj<unknown, O> {
  return {
    onError: ({ error }) => {
      const failure = failureOf(ofService(error) ?? error);
      const foreseen = error instanceof CausewayError;
      if (foreseen) log.warn("step failed", { name: failure.name, detail: failure.message });
      else log.error("step failed", errorFields(error));
      throw new ReportedError(failure, error);
    },
  };
}

/**
 * An AWS client's error means that a retry can succeed. The workflow retries all of these under one name.
 */
function ofService(error: unknown): ServiceUnavailableError | undefined {
  if (!(error instanceof Error) || !("$metadata" in error)) return undefined;
  return new ServiceUnavailableError(`${error.name}: ${error.message}`);
}
