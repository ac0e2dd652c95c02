import { expect, test } from "vitest";
import { CloudClock } from "./cloud-clock.ts";

const TRUE_MS = Date.UTC(2030, 0, 1, 12);

test.each([
  ["ahead", 3_600_000],
  ["behind", -86_400_000],
])("a clock that is far %s is corrected, and keeps running", (_, offMs) => {
  let ownMs = TRUE_MS + offMs;
  const clock = new CloudClock(() => ownMs);
  expect(clock.now()).toBe(ownMs);
  clock.take(new Date(TRUE_MS));
  expect(clock.now()).toBe(TRUE_MS);
  ownMs += 5000;
  expect(clock.now()).toBe(TRUE_MS + 5000);
});

test("a clock that is about right is left alone, even one that was corrected meanwhile", () => {
  let ownMs = TRUE_MS + 30_000;
  const clock = new CloudClock(() => ownMs);
  clock.take(new Date(TRUE_MS));
  expect(clock.now()).toBe(ownMs);
  ownMs = TRUE_MS + 3_600_000;
  clock.take(new Date(TRUE_MS));
  ownMs = TRUE_MS + 1000;
  clock.take(new Date(TRUE_MS));
  expect(clock.now()).toBe(ownMs);
});

test("an answer without a time does not change the clock", () => {
  const clock = new CloudClock(() => TRUE_MS);
  clock.take(new Date(TRUE_MS - 3_600_000));
  clock.take(undefined);
  expect(clock.now()).toBe(TRUE_MS - 3_600_000);
});
