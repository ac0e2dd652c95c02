import { expect, test } from "vitest";
import { createRateLimit } from "./rate-limit.ts";

/** Time that passes only while a caller waits. */
function paced(bytesPerSecond: (nowMs: number) => number | undefined) {
  const time = { nowMs: 5000 };
  const pace = createRateLimit({
    bytesPerSecond: () => bytesPerSecond(time.nowMs),
    now: () => time.nowMs,
    delay: async (ms) => {
      const until = time.nowMs + ms;
      // All callers that wait are waiting for the same clock.
      await Promise.resolve();
      time.nowMs = Math.max(time.nowMs, until);
    },
  });
  /** How long it waits, in milliseconds. */
  const wait = async (bytes: number) => {
    const before = time.nowMs;
    await pace(bytes);
    return time.nowMs - before;
  };
  return { time, wait };
}

test("all callers together get the given number of bytes per second, after a burst of one second", async () => {
  const { time, wait } = paced(() => 1000);
  expect([await wait(500), await wait(1000), await wait(1000)]).toEqual([500, 1000, 1000]);
  // A pause earns one second's worth, not more.
  time.nowMs += 60_000;
  expect([await wait(1000), await wait(250)]).toEqual([0, 250]);
});

test("callers that ask at the same time share the rate, first come, first served", async () => {
  const { wait } = paced(() => 1000);
  expect(await Promise.all([wait(1000), wait(1000), wait(1000)])).toEqual([1000, 2000, 3000]);
});

test("a limit that changes takes effect within a second, also for callers that wait", async () => {
  const { wait } = paced((nowMs) => (nowMs < 9000 ? 10 : 1000));
  // Four seconds at 10 bytes, and the rest at 1000.
  const waited = await wait(2040);
  expect(waited).toBeGreaterThanOrEqual(5000);
  expect(waited).toBeLessThanOrEqual(6000);
});

test("while there is no limit no caller waits, and afterwards it counts as a pause", async () => {
  const { time, wait } = paced((nowMs) => (nowMs < 9000 ? undefined : 1000));
  expect(await wait(1_000_000)).toBe(0);
  time.nowMs = 9000;
  expect(await wait(3000)).toBe(2000);
});
