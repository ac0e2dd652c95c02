import fc from "fast-check";
import { expect, test } from "vitest";
import { reconnectDelayMs } from "./backoff.ts";

test("the first attempts come soon, later ones within half a minute, and agents spread out", () => {
  expect(reconnectDelayMs(0, 0)).toBe(250);
  expect(reconnectDelayMs(0, 1)).toBe(500);
  expect(reconnectDelayMs(20, 0)).toBe(15_000);
  expect(reconnectDelayMs(20, 1)).toBe(30_000);
});

test("a delay is never shorter after more failures, and always bounded", () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.float({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const delay = reconnectDelayMs(failures, random);
      expect(delay).toBeLessThanOrEqual(30_000);
      expect(reconnectDelayMs(failures + 1, random)).toBeGreaterThanOrEqual(delay);
    }),
  );
});
