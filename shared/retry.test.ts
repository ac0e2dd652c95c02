import fc from "fast-check";
import { expect, test } from "vitest";
import { CausewayError } from "./errors.ts";
import { backoffMs, isRetryableError, retry } from "./retry.ts";

class RefusedError extends CausewayError {
  override readonly name = "RefusedError";
  readonly retryable = false;
  readonly hint = "";
}
class BusyError extends CausewayError {
  override readonly name = "BusyError";
  readonly retryable = true;
  readonly hint = "";
}

const isRetryable = isRetryableError;

/** Fails `times` times, then answers. */
function failing(times: number, error: Error) {
  let asked = 0;
  const ask = async () => {
    if (asked++ < times) throw error;
    return "answer";
  };
  return { ask, asked: () => asked };
}

test("a call that fails temporarily is repeated until it succeeds, and each failure is reported before the pause", async () => {
  const { ask } = failing(3, new BusyError("busy"));
  const told: [string, number][] = [];
  const onRetry = (error: CausewayError, pauseMs: number) => told.push([error.name, pauseMs]);
  expect(await retry(ask, { isRetryable, delayMs: (failures) => failures, onRetry })).toBe("answer");
  expect(told).toEqual([
    ["BusyError", 1],
    ["BusyError", 2],
    ["BusyError", 3],
  ]);
});

test.each([new RefusedError("refused"), new Error("a defect")])("%s is not asked again", async (error) => {
  const { ask, asked } = failing(1, error);
  await expect(retry(ask, { isRetryable, delayMs: () => 1 })).rejects.toBe(error);
  expect(asked()).toBe(1);
});

test("after the time limit, the next failure is final", async () => {
  const { ask, asked } = failing(Number.POSITIVE_INFINITY, new BusyError("busy"));
  await expect(retry(ask, { isRetryable, delayMs: () => 1, patienceMs: 2 })).rejects.toThrow("busy");
  expect(asked()).toBe(4);
});

test("an abort ends the pause", async () => {
  const { ask } = failing(Number.POSITIVE_INFINITY, new BusyError("busy"));
  const abort = new AbortController();
  const onRetry = () => queueMicrotask(() => abort.abort());
  const end = retry(ask, { isRetryable, delayMs: () => 3_600_000, onRetry, signal: abort.signal });
  await expect(end).rejects.toMatchObject({ name: "AbortError" });
});

test("after the last attempt it gives up, without a pause", async () => {
  const { ask, asked } = failing(Number.POSITIVE_INFINITY, new BusyError("busy"));
  const pauses: number[] = [];
  const sleep = async (ms: number) => {
    pauses.push(ms);
  };
  const end = retry(ask, { isRetryable, attempts: 3, delayMs: (failures) => 10 * failures, sleep });
  await expect(end).rejects.toThrow("busy");
  expect(asked()).toBe(3);
  expect(pauses).toEqual([10, 20]);
});

test("each attempt gets its number, and there is no attempt after an abort", async () => {
  const numbers: number[] = [];
  const work = async (attempt: number) => {
    numbers.push(attempt);
    if (attempt < 3) throw new BusyError("busy");
    return attempt;
  };
  expect(await retry(work, { isRetryable })).toBe(3);
  await expect(retry(work, { isRetryable, signal: AbortSignal.abort() })).rejects.toThrow("aborted");
  expect(numbers).toEqual([1, 2, 3]);
});

test("the first attempts come soon, later ones within half a minute, and agents spread out", () => {
  expect(backoffMs(0, 0)).toBe(250);
  expect(backoffMs(0, 1)).toBe(500);
  expect(backoffMs(20, 0)).toBe(15_000);
  expect(backoffMs(20, 1)).toBe(30_000);
});

test("a delay is never shorter after more failures, and always bounded", () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.float({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const delay = backoffMs(failures, random);
      expect(delay).toBeLessThanOrEqual(30_000);
      expect(backoffMs(failures + 1, random)).toBeGreaterThanOrEqual(delay);
    }),
  );
});
