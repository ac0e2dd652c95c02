import { expect, test } from "vitest";
import type { Run } from "#shared/protocol/protection.ts";
import { describeProtection, factsOfRuns, isProved, type ProtectReport } from "./protect-report.ts";

function run(number: number, more: Partial<Run["result"] & object> = {}): Run {
  const at = `2030-01-01T01:${String(number).padStart(2, "0")}:00.000Z`;
  return {
    ...{ id: `run_${number}`, planId: "plan_1", sourceId: "agt_1", state: "completed", trigger: "schedule" },
    ...{ dueAt: at, startedAt: at, endedAt: at, pointId: `rp_${number}`, requestedBy: "ada" },
    result: {
      disks: [
        {
          name: "sda",
          consistency: "file-system",
          wholeCopies: [],
          mode: "tracked",
          trackerDisagreements: 0,
        },
      ],
      ...{ consistency: "file-system", badRanges: 0, seconds: 1, limitingStage: "read" },
      ...{ bytesRead: 0, bytesStored: 10, changedBytes: 100, freezeMilliseconds: number },
      ...more,
    },
  };
}
const skipped = (number: number): Run => ({ ...run(number), state: "skipped", result: undefined });

const proved: ProtectReport = {
  ...factsOfRuns(Array.from({ length: 10 }, (_, index) => run(index))),
  ...{ ok: true, restarted: true, lagSeconds: 20, cloneBooted: true, seconds: 60, steps: [] },
  ...{ rowsAcknowledged: 7, rowsFound: 8, rowsMissing: 0, rowsTooLate: 0 },
};

test("a report has the points and what they cost after the first, and skipped runs do not count", () => {
  const first = run(0, { bytesStored: 999, changedBytes: 9999 });
  const scanned = run(3, {
    disks: [
      {
        name: "sda",
        consistency: "file-system",
        wholeCopies: [],
        mode: "hash-scan",
        trackerDisagreements: 0,
      },
    ],
  });
  expect(factsOfRuns([run(5), scanned, skipped(1), first])).toMatchObject({
    ...{ points: 3, skippedRuns: 1, deltaBytes: 20, changedBytes: 200, mode: "tracked", hashScans: 1 },
    ...{ freezeMilliseconds: 3, longestFreezeMilliseconds: 5, consistency: "file-system" },
  });
});

test.each<[string, Partial<ProtectReport>]>([
  ["too few points", { points: 9 }],
  ["no restart", { restarted: false }],
  ["a last point of which the whole disk was read", { mode: "hash-scan" }],
  ["a last point without one instant", { consistency: "not" }],
  ["a clone that does not boot", { cloneBooted: false }],
  ["a row that is missing", { rowsMissing: 1 }],
  ["a row that is too new", { rowsTooLate: 1 }],
  ["a database without rows", { rowsAcknowledged: 0, rowsFound: 0 }],
  ["a failure", { failure: "the computer is too slow" }],
])("%s proves nothing", (_, change) => {
  expect(isProved(proved)).toBe(true);
  expect(isProved({ ...proved, ...change })).toBe(false);
  expect(describeProtection({ ...proved, ok: false, ...change })).toContain("FAILED");
});
