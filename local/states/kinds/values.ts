import { QueryEvaluationFailure } from "../failure.ts";
import type { Cursor } from "../frames.ts";
import type { Transition } from "../transition.ts";

/** A whole number from a field that may be an expression; anything else fails the state. */
export async function evaluateWhole(
  t: Transition,
  cursor: Cursor,
  template: unknown,
  location: string,
  least: number,
  most: number,
): Promise<number> {
  const value = await t.evaluate(cursor, template, location);
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    const range = `a whole number from ${least} to ${most}`;
    throw new QueryEvaluationFailure(location, `${location} must be ${range}, not ${JSON.stringify(value)}`);
  }
  return value;
}
