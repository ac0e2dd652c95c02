import { expect, test } from "vitest";
import type { Progress } from "#shared/protocol/common.ts";
import { ProgressMeter } from "./progress-meter.ts";
import { limitingStage, StageTimes } from "./stage-times.ts";

const stages = { before: "read", own: "compress", after: "upload" } as const;
const times = { elapsedMs: 10_000, workers: 2, busyMs: 0, blockedMs: 0 };

test("busy workers are the bottleneck; idle ones wait for the stage before, blocked ones for the stage after", () => {
  expect(limitingStage(stages, { ...times, busyMs: 19_000, blockedMs: 500 })).toBe("compress");
  expect(limitingStage(stages, { ...times, busyMs: 6000, blockedMs: 1000 })).toBe("read");
  expect(limitingStage(stages, { ...times, busyMs: 6000, blockedMs: 12_000 })).toBe("upload");
  expect(limitingStage(stages, { ...times, elapsedMs: 0 })).toBe("read");
});

test("the times of all workers count, wherever in the memory they are", () => {
  const memory = new SharedArrayBuffer(8 + StageTimes.bytes(2));
  const seen = new StageTimes(memory, 8, 2);
  const workers = new StageTimes(memory, 8, 2);
  workers.set(0, { busyMs: 1000, blockedMs: 8000 });
  expect(seen.limitingStage(stages, 10_000)).toBe("read");
  workers.set(1, { busyMs: 2000, blockedMs: 7000 });
  expect(seen.limitingStage(stages, 10_000)).toBe("upload");
});

function meterAt(clock: { ms: number }): { meter: ProgressMeter; reports: Progress[] } {
  const reports: Progress[] = [];
  const meter = new ProgressMeter(
    (progress) => reports.push(progress),
    () => clock.ms,
  );
  return { meter, reports };
}

test("rate and remaining time count only what this attempt has done", () => {
  const clock = { ms: 5 };
  const { meter, reports } = meterAt(clock);
  meter.expect(1000);
  meter.skip(400);
  clock.ms += 10_000;
  meter.limitedBy(() => "compress");
  meter.add(200);
  expect(reports).toEqual([
    {
      ...{ bytesDone: 600, bytesTotal: 1000, rateBytesPerSecond: 20, remainingSeconds: 20 },
      bottleneck: "compress",
    },
  ]);
  expect(meter.elapsedMs).toBe(10_000);
});

test("without a rate there is no remaining time, and it is never negative", () => {
  const clock = { ms: 0 };
  const { meter, reports } = meterAt(clock);
  meter.expect(100);
  meter.report();
  expect(reports.at(-1)).toEqual({ bytesDone: 0, bytesTotal: 100, rateBytesPerSecond: 0 });
  clock.ms += 1000;
  meter.add(150);
  expect(reports.at(-1)).toMatchObject({ remainingSeconds: 0 });
});

test("a meter reports a few times a second, and whenever it is asked", () => {
  const clock = { ms: 0 };
  const { meter, reports } = meterAt(clock);
  for (; clock.ms < 1000; clock.ms += 10) meter.add(1);
  expect(reports).toHaveLength(3);
  meter.report();
  expect(reports.at(-1)).toMatchObject({ bytesDone: 100 });
});
