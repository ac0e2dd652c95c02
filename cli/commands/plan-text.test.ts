import { expect, test } from "vitest";
import type { Run } from "#shared/protocol/protection.ts";
import { describeRun } from "./plan-text.ts";

const run = (standby: NonNullable<Run["result"]>["standby"]): Run => ({
  ...{ id: "run_1", planId: "plan_1", sourceId: "agt_1", state: "completed", trigger: "schedule" },
  ...{
    dueAt: "2030-01-01T00:00:00.000Z",
    startedAt: "2030-01-01T00:00:00.000Z",
    pointId: "rp_1",
    requestedBy: "ada",
  },
  result: {
    ...{ disks: [], consistency: "file-system", badRanges: 0, seconds: 1, limitingStage: "read" },
    ...{ bytesRead: 0, bytesStored: 0, changedBytes: 0, standby },
  },
});

test("a run shows how long programs waited", () => {
  const frozen = { ...run(undefined).result, freezeMilliseconds: 1500 } as Run["result"];
  expect(describeRun({ ...run(undefined), result: frozen }).join("\n")).toContain(
    "waited 1500 ms for their writes",
  );
});

test("a run shows that another program had changed the standby", () => {
  const applied = { state: "applied", bytesWritten: 0, seconds: 1 } as const;
  expect(describeRun(run({ ...applied, leavesRepaired: 0 })).join("\n")).not.toContain("ANOTHER PROGRAM");
  expect(describeRun(run({ ...applied, leavesRepaired: 2 }))).toContain(
    "standby: ANOTHER PROGRAM HAD CHANGED IT; repaired 2 parts of 16 MiB",
  );
});

test("a run whose standby is behind says why, and what to do", () => {
  const failure = { name: "DiskFullError", message: "no room", hint: "Make room.", retryable: false };
  expect(describeRun(run({ state: "behind", failure }))).toEqual(
    expect.arrayContaining(["standby is behind: DiskFullError: no room", "Make room."]),
  );
});
