import { expect, test } from "vitest";
import { IdleLimit } from "./idle-limit.ts";

test("does not run out while a command runs, nor within the limit after it", () => {
  const idleLimit = new IdleLimit(0, 600);
  expect(idleLimit.isWithin(599, { working: false })).toBe(true);
  expect(idleLimit.isWithin(599, { working: true })).toBe(true);
  expect(idleLimit.isWithin(90_000, { working: true })).toBe(true);
  expect(idleLimit.isWithin(90_599, { working: false })).toBe(true);
  expect(idleLimit.isWithin(90_600, { working: false })).toBe(false);
});

test("runs out when the control plane answers but never has any work", () => {
  const idleLimit = new IdleLimit(1000, 600);
  expect(idleLimit.isWithin(1599, { working: false })).toBe(true);
  expect(idleLimit.isWithin(1600, { working: false })).toBe(false);
});
