import { expect, test } from "vitest";
import { BandwidthHours } from "#shared/protocol/weekly-hours.ts";
import { paceOf } from "./captures.ts";

const bandwidthHours = BandwidthHours.parse({
  timeZone: "Europe/Vienna",
  windows: [{ from: "08:00", to: "18:00", bytesPerSecond: 100_000 }],
});

test("uploads wait in the hours that have a limit, and no longer once the clock leaves them", async () => {
  let now = Date.parse("2030-01-01T10:00:00Z");
  const { pace } = paceOf({ bandwidthHours }, { now: () => now });
  const began = performance.now();
  await pace?.(20_000);
  // Timers may fire a millisecond early.
  expect(performance.now() - began).toBeGreaterThan(190);
  const waiting = pace?.(1_000_000_000);
  now = Date.parse("2030-01-01T17:00:00Z");
  await waiting;
  expect(performance.now() - began).toBeLessThan(60_000);
});

test("without limits uploads have no pace", () => {
  expect(paceOf({}, { now: () => 0 })).toEqual({});
});
