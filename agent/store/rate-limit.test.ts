import { expect, test } from "vitest";
import { createRateLimit } from "./rate-limit.ts";

test("all callers together get the given number of bytes per second, after a burst of one second", async () => {
  let nowMs = 5000;
  const delays: number[] = [];
  const pace = createRateLimit({
    bytesPerSecond: 1000,
    now: () => nowMs,
    delay: async (ms) => {
      delays.push(ms);
      nowMs += ms;
    },
  });
  await pace(500);
  await pace(1000);
  await pace(1000);
  expect(delays).toEqual([500, 1000, 1000]);
  // A pause earns one second's worth, not more.
  nowMs += 60_000;
  await pace(1000);
  expect(delays).toHaveLength(3);
  await pace(250);
  expect(delays.at(-1)).toBe(250);
});

test("callers that ask at the same time share the rate", async () => {
  const delays: number[] = [];
  const delay = async (ms: number) => void delays.push(ms);
  const pace = createRateLimit({ bytesPerSecond: 1000, now: () => 0, delay });
  await Promise.all([pace(1000), pace(1000), pace(1000)]);
  expect(delays).toEqual([1000, 2000, 3000]);
});
