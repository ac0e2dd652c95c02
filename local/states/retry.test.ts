import { expect, test } from "vitest";
import { matchesError } from "./failure.ts";
import { decideRetry } from "./retry.ts";

const retrier = (more: object = {}) => ({
  ErrorEquals: ["Busy"],
  IntervalSeconds: 1,
  MaxAttempts: 3,
  BackoffRate: 2,
  JitterStrategy: "NONE" as const,
  ...more,
});
const busy = { error: "Busy" };
const never = (): number => {
  throw new Error("no jitter was asked for");
};

test("each retry waits longer by the backoff rate until the attempts are spent", () => {
  const delays = [0, 1, 2, 3].map((spent) => decideRetry([retrier()], [spent], busy, never)?.delayMs);
  expect(delays).toEqual([1000, 2000, 4000, undefined]);
});

test("full jitter chooses a delay between zero and the whole delay", () => {
  const rule = retrier({ IntervalSeconds: 10, JitterStrategy: "FULL" });
  expect(decideRetry([rule], [], busy, () => 0.25)?.delayMs).toBe(2500);
});

test("the first retrier that matches decides, with its own count", () => {
  const rules = [retrier({ ErrorEquals: ["Other"] }), retrier(), retrier({ ErrorEquals: ["States.ALL"] })];
  expect(decideRetry(rules, [3, 1, 0], busy, never)).toEqual({ retrier: 1, delayMs: 2000 });
  expect(decideRetry(rules, [0, 3, 0], busy, never)).toBeUndefined();
});

test.each([
  ["States.ALL", "Anything", true],
  ["States.ALL", "States.Timeout", true],
  ["States.ALL", "States.Runtime", false],
  ["States.ALL", "States.DataLimitExceeded", false],
  ["States.TaskFailed", "DiskError", true],
  ["States.TaskFailed", "States.Timeout", false],
  ["States.TaskFailed", "States.HeartbeatTimeout", false],
  ["States.Timeout", "States.HeartbeatTimeout", true],
  ["States.HeartbeatTimeout", "States.Timeout", false],
  ["States.TaskFailed", undefined, true],
])("%s against %s: %s", (name, error, expected) => {
  expect(matchesError([name], error === undefined ? {} : { error })).toBe(expected);
});
