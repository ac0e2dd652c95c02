/**
 * The composition root of every function: the only place here that reads the clock, randomness and the
 * process.
 */
import { randomBytes } from "node:crypto";
import { type Environment, environments, type FunctionName } from "#shared/environment.ts";
import type { Log } from "#shared/log.ts";
import { jsonLog } from "#shared/log.ts";
import type { Clock, Random } from "../ports.ts";

export interface Runtime {
  clock: Clock;
  random: Random;
  log: Log;
  region: string;
  /** The address of AWS, if it is not at its usual ones. */
  awsEndpoint: string | undefined;
  /** Environment variables. */
  variables: Readonly<Record<string, string | undefined>>;
}

/** The inputs from which a function's `build` makes its dependencies. */
export type Build<N extends FunctionName, D> = (environment: Environment<N>, runtime: Runtime) => D;

export function lambdaRuntime(name: FunctionName): Runtime {
  const clock = { now: () => Date.now() };
  return {
    clock,
    random: (length) => randomBytes(length),
    log: jsonLog({
      write: (line) => process.stdout.write(line),
      now: () => clock.now(),
      fields: { function: name },
    }),
    region: process.env.AWS_REGION ?? "us-east-1",
    awsEndpoint: process.env.AWS_ENDPOINT_URL,
    variables: process.env,
  };
}

/** Makes the dependencies once, at the first event. A missing variable fails that event with its name. */
export function lazily<N extends FunctionName, D>(name: N, build: Build<N, D>, runtime: Runtime): () => D {
  let made: { deps: D } | undefined;
  return () => {
    made ??= { deps: build(environments[name].parse(runtime.variables) as Environment<N>, runtime) };
    return made.deps;
  };
}
