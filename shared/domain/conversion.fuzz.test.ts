import fc from "fast-check";
import { expect, test } from "vitest";
import { ConversionCancelledError, failureOf, WrongStateError } from "../errors.ts";
import type { ConversionResult } from "../protocol/resources.ts";
import { abandoned, type ConversionRecord, cancelling, completed, hasEnded } from "./conversion.ts";
import { aConversion } from "./testing/records.ts";
import { cancellableTransitions } from "./transitions.ts";

const now = "2030-01-01T01:00:00.000Z";
const failure = failureOf(new Error("disk on fire"));
const result: ConversionResult = {
  disks: [],
  copies: [],
  bytesRead: 1,
  bytesStored: 1,
  bytesWritten: 1,
  bytesVerified: 1,
  badRanges: 0,
  captureSeconds: 1,
  limitingStage: "read",
};

const actions = {
  cancel: cancelling,
  complete: (conversion: ConversionRecord) => completed(conversion, { result, steps: [], now }),
  abandon: (conversion: ConversionRecord) => abandoned(conversion, { failure, steps: [], now }),
};
const names = Object.keys(actions) as (keyof typeof actions)[];

test("whatever is done in whatever order, a conversion goes only where its life cycle allows", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...names), { maxLength: 8 }), (story) => {
      let conversion = aConversion();
      for (const name of story) {
        const before = conversion;
        try {
          conversion = actions[name](before);
        } catch (error) {
          expect([WrongStateError, ConversionCancelledError]).toContain((error as Error).constructor);
        }
        if (conversion.state !== before.state) {
          expect(cancellableTransitions[before.state]).toContain(conversion.state);
        }
        if (hasEnded(before)) expect(conversion).toBe(before);
      }
    }),
  );
});

test("once cancelled by the operator, a conversion ends as cancelled, whatever went wrong meanwhile", () => {
  const ended = actions.abandon(cancelling(aConversion()));
  expect(ended).toMatchObject({ state: "cancelled", endedAt: now });
  expect(ended.failure).toBeUndefined();
});

test("a cancellation is not overtaken by completion", () => {
  expect(() => actions.complete(cancelling(aConversion()))).toThrow(ConversionCancelledError);
});

test("completing or abandoning twice keeps the first end", () => {
  const ended = actions.complete(aConversion());
  expect(actions.complete(ended)).toBe(ended);
  expect(actions.abandon(ended)).toBe(ended);
});

test("what has ended cannot be cancelled, unless it is cancelled already", () => {
  expect(() => cancelling(actions.complete(aConversion()))).toThrow(WrongStateError);
  const ended = actions.abandon(cancelling(aConversion()));
  expect(cancelling(ended)).toBe(ended);
});
