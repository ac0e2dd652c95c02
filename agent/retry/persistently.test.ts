import { expect, test } from "vitest";
import { CausewayError } from "#shared/errors.ts";
import { persistently } from "./persistently.ts";

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

/** Fails so often, then answers. */
function failing(times: number, error: Error) {
  let asked = 0;
  const ask = async () => {
    if (asked++ < times) throw error;
    return "answer";
  };
  return { ask, asked: () => asked };
}

test("what may still come is asked for until it comes, and each trouble is told before the pause", async () => {
  const { ask } = failing(3, new BusyError("busy"));
  const told: [string, number][] = [];
  const onTrouble = (error: CausewayError, pauseMs: number) => told.push([error.name, pauseMs]);
  expect(await persistently(ask, { delayMs: (failures) => failures, onTrouble })).toBe("answer");
  expect(told).toEqual([
    ["BusyError", 1],
    ["BusyError", 2],
    ["BusyError", 3],
  ]);
});

test.each([new RefusedError("refused"), new Error("a defect")])("%s is not asked again", async (error) => {
  const { ask, asked } = failing(1, error);
  await expect(persistently(ask, { delayMs: () => 1 })).rejects.toBe(error);
  expect(asked()).toBe(1);
});

test("after its patience the next failure is final", async () => {
  const { ask, asked } = failing(Number.POSITIVE_INFINITY, new BusyError("busy"));
  await expect(persistently(ask, { delayMs: () => 1, patienceMs: 2 })).rejects.toThrow("busy");
  expect(asked()).toBe(4);
});

test("an abort ends the pause", async () => {
  const { ask } = failing(Number.POSITIVE_INFINITY, new BusyError("busy"));
  const abort = new AbortController();
  const onTrouble = () => queueMicrotask(() => abort.abort());
  const end = persistently(ask, { delayMs: () => 3_600_000, onTrouble, signal: abort.signal });
  await expect(end).rejects.toMatchObject({ name: "AbortError" });
});
