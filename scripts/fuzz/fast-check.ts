/**
 * Replaces fast-check while `npm run fuzz` runs. It is the same, but it runs each property for its share of
 * the time and ignores the number of runs that the test asks for.
 */
import { createRequire } from "node:module";
import type * as FastCheck from "fast-check";
import { counted, millisecondsPerProperty } from "./tally.ts";

const real: typeof FastCheck = createRequire(import.meta.url)("fast-check");

type Property = FastCheck.IRawProperty<unknown, boolean>;
type Details = FastCheck.RunDetails<unknown>;

function assert(property: Property, parameters: FastCheck.Parameters<unknown> = {}): void | Promise<void> {
  const limit = { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: millisecondsPerProperty() };
  const result = real.check(property as FastCheck.IRawProperty<unknown>, { ...parameters, ...limit }) as
    | Details
    | Promise<Details>;
  return result instanceof Promise ? result.then(report) : report(result);
}

function report(details: Details): void {
  counted(details.numRuns);
  if (!details.failed) return;
  // Names seed and path, and how to run just that one again.
  throw new Error(real.defaultReportMessage(details), { cause: details.errorInstance });
}

export default { ...real, assert };
