import { expect, test } from "vitest";
import { describeProgress, findBottleneck } from "./progress.ts";

const times = { elapsedMs: 10_000, workers: 2, busyMs: 0, blockedMs: 0 };

test("busy workers are the bottleneck; idle ones wait for reads, blocked ones for uploads", () => {
  expect(findBottleneck({ ...times, busyMs: 19_000, blockedMs: 500 })).toBe("compress");
  expect(findBottleneck({ ...times, busyMs: 6000, blockedMs: 1000 })).toBe("read");
  expect(findBottleneck({ ...times, busyMs: 6000, blockedMs: 12_000 })).toBe("upload");
  expect(findBottleneck({ ...times, elapsedMs: 0 })).toBe("read");
});

test("rate and remaining time count only this attempt's work", () => {
  const counts = { bytesRead: 600, bytesTotal: 1000, bytesStored: 50, doneBefore: 400 };
  expect(describeProgress(counts, { ...times, busyMs: 18_000 })).toEqual({
    bytesRead: 600,
    bytesTotal: 1000,
    bytesStored: 50,
    rateBytesPerSecond: 20,
    remainingSeconds: 20,
    bottleneck: "compress",
  });
  expect(describeProgress({ ...counts, bytesRead: 400 }, times).remainingSeconds).toBeUndefined();
});
