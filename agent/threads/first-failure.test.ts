import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { FirstFailure } from "./first-failure.ts";

const never = new Promise<never>(() => {});
const released = async () => {};

test("work that succeeds is drained, including work that is tracked meanwhile", async () => {
  const work = new FirstFailure();
  const done: string[] = [];
  const later = async () => void done.push("later");
  work.track(
    Promise.resolve().then(() => {
      done.push("first");
      work.track(Promise.resolve().then(later));
    }),
  );
  await work.drain();
  expect(done).toEqual(["first", "later"]);
  expect(work.failure).toBeUndefined();
});

test("everything rejects with the first failure", async () => {
  const work = new FirstFailure();
  const waiting = work.orFailure(never);
  work.track(Promise.reject(new Error("first")));
  work.track(never);
  await expect(waiting).rejects.toThrow("first");
  work.fail(new Error("second"));
  await expect(work.drain()).rejects.toThrow("first");
  await expect(work.orFailure(Promise.resolve(1))).rejects.toThrow("first");
  expect(work.failure).toMatchObject({ message: "first" });
  expect(work.signal.reason).toBe(work.failure);
});

test("a failure that is not awaited does not end the process", async () => {
  const work = new FirstFailure();
  work.fail(new Error("first"));
  work.track(Promise.reject(new Error("second")));
  await work.end(released);
  expect(work.failure).toMatchObject({ message: "first" });
});

test("the caller's abort is a failure, also one from before the start", async () => {
  const caller = new AbortController();
  const work = new FirstFailure(caller.signal);
  work.track(never);
  const draining = work.drain();
  caller.abort(new Error("cancelled"));
  await expect(draining).rejects.toThrow("cancelled");
  const late = new FirstFailure(caller.signal);
  await expect(late.orFailure(never)).rejects.toThrow("cancelled");
  await expect(late.drain()).rejects.toThrow("cancelled");
});

test("the end abandons a call that does not return, releases, and leaves no listener at the caller's signal", async () => {
  const caller = new AbortController();
  const work = new FirstFailure(caller.signal);
  work.track(never);
  let aborted = false;
  await work.end(async () => {
    aborted = work.signal.aborted;
  });
  expect(aborted).toBe(true);
  expect(getEventListeners(caller.signal, "abort")).toEqual([]);
});

test("a promise that resolves leaves no listener", async () => {
  const work = new FirstFailure();
  for (let count = 0; count < 20; count++) await work.orFailure(Promise.resolve());
  // The listener is removed one turn after the result.
  await Promise.resolve();
  expect(getEventListeners(work.signal, "abort")).toEqual([]);
});
