import { expect, test } from "vitest";
import type { Plan, Run } from "#shared/protocol/protection.ts";
import { describePlan, describeRun } from "./plan-text.ts";

type Result = NonNullable<Run["result"]>;
const run = (more: Partial<Result>): Run => ({
  ...{ id: "run_1", planId: "plan_1", sourceId: "agt_1", state: "completed", trigger: "schedule" },
  ...{
    dueAt: "2030-01-01T00:00:00.000Z",
    startedAt: "2030-01-01T00:00:00.000Z",
    pointId: "rp_1",
    requestedBy: "ada",
  },
  result: {
    ...{ disks: [], consistency: "file-system", badRanges: 0, seconds: 1, limitingStage: "read" },
    ...{ bytesRead: 0, bytesStored: 0, changedBytes: 0, ...more },
  },
});

test("a run shows how long programs waited", () => {
  expect(describeRun(run({ freezeMilliseconds: 1500 })).join("\n")).toContain(
    "waited at most 1500 ms for their writes",
  );
});

test("a run shows that another program had changed the standby", () => {
  const applied = { state: "applied", bytesWritten: 0, seconds: 1 } as const;
  expect(describeRun(run({ standby: { ...applied, leavesRepaired: 0 } })).join("\n")).not.toContain(
    "ANOTHER PROGRAM",
  );
  expect(describeRun(run({ standby: { ...applied, leavesRepaired: 2 } }))).toContain(
    "standby: ANOTHER PROGRAM HAD CHANGED IT; repaired 2 parts of 16 MiB",
  );
});

test("a run shows that the tracker of a disk was wrong", () => {
  const shown = (trackerDisagreements: number) => {
    const disk = { name: "vda", consistency: "not" as const, wholeCopies: [], trackerDisagreements };
    return describeRun(run({ disks: [{ ...disk, mode: "hash-scan" }] })).join("\n");
  };
  expect(shown(3)).toContain("vda: THE TRACKER WAS WRONG: 3 sampled blocks had changed");
  expect(shown(0)).not.toContain("TRACKER");
});

test("a run shows how a disk in use was read, and why", () => {
  const disk = {
    ...{ name: "vda", consistency: "not" as const, wholeCopies: [], trackerDisagreements: 0 },
    mode: "hash-scan" as const,
  };
  const viewReason = "it is in use, and its kind was not tried; of another instant: vg0/home";
  const shown = describeRun(run({ disks: [{ ...disk, view: "lvm-snapshot", viewReason }] }));
  expect(shown).toContain(`vda: read by lvm-snapshot: ${viewReason}`);
  const still = describeRun(run({ disks: [{ ...disk, view: "still", viewReason: "unused" }] }));
  expect(still.join("\n")).not.toContain("read by");
});

test("a run whose standby is behind says why, and what to do", () => {
  const failure = { name: "DiskFullError", message: "no room", hint: "Make room.", retryable: false };
  expect(describeRun(run({ standby: { state: "behind", failure } }))).toEqual(
    expect.arrayContaining(["standby is behind: DiskFullError: no room", "Make room."]),
  );
});

test("a run shows each script of the hooks, and why the point is not application consistent", () => {
  const before = { hook: "db", phase: "before", seconds: 2 } as const;
  const good = { scripts: [{ ...before, outcome: "succeeded" as const }] };
  expect(describeRun(run({ hooks: good }))).toContain("hook db, before: succeeded in 2 s");
  expect(describeRun(run({ hooks: good })).join("\n")).not.toContain("not application consistent");
  const reason = "it ended with status 1";
  const bad = { scripts: [{ ...before, outcome: "failed" as const, reason, lastLine: "no connection" }] };
  expect(describeRun(run({ hooks: bad }))).toContain(
    "not application consistent: the hook db did not succeed before the freeze: it ended with status 1: no connection",
  );
});

test("a run shows why no hook was run, and nothing of a source without hooks", () => {
  const refused = "/etc/causeway/hooks/db is not used: it is a link";
  expect(describeRun(run({ hooks: { scripts: [], refused } }))).toContain(
    `not application consistent: no hook was run: ${refused}`,
  );
  expect(describeRun(run({ hooks: { scripts: [] } }))).toEqual(describeRun(run({})));
});

function plan(change: Partial<Plan> = {}): Plan {
  const hour = (at: number) => ({
    from: `2030-01-01T${String(at).padStart(2, "0")}:00:00.000Z`,
    bytesPerSecond: at < 20 ? null : (at - 20) * 1024,
  });
  return {
    ...{ id: "plan_1", sourceId: "agt_1", state: "active", intervalSeconds: 3600, cron: null, startAt: null },
    ...{ timeZone: "UTC", blackout: [], disks: null, allBlocks: false, bandwidthLimitBytesPerSecond: null },
    ...{
      retention: { last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0 },
      standbyTargetId: null,
      standbyPointId: null,
      drills: null,
      nextDrillAt: null,
      lastDrillId: null,
      accept: [],
      lagSeconds: 60,
    },
    ...{ lag: "protected", lateAt: null, lastRun: null, nextRunAt: null, requestedBy: "ada" },
    ...{ createdAt: "2030-01-01T00:00:00.000Z", bandwidthHours: [], bandwidthNowBytesPerSecond: null },
    condition: {
      dirtyRate: Array.from({ length: 24 }, (_, at) => hour(at)),
      backlog: { runs: 2, bytes: 2048 },
      limit: { stage: "apply", seconds: 12, action: "Buy storage." },
      disks: [
        {
          name: "vda",
          consistency: "file-system",
          wholeCopies: [],
          mode: "tracked",
          trackerDisagreements: 0,
        },
      ],
    },
    ...change,
  };
}

test("a plan shows how much changes by the hour, its backlog, its limit, and each disk of the newest point", () => {
  const lines = describePlan(plan()).split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      `  changed per hour of the last day: ${".".repeat(20)}▁▃▅█, at most 3.0 KiB/s`,
      "  backlog: 2 runs due since the newest point, about 2.0 KiB changed",
      "  limited by apply, 12 s: Buy storage.",
      "  vda: file-system consistent, tracked",
    ]),
  );
});

test("what a plan's last run says is not said twice, and what is unknown is not said as a number", () => {
  const unknown = { ...plan().condition, dirtyRate: [], backlog: { runs: 0, bytes: null } };
  const text = describePlan(plan({ lastRun: run({}), condition: unknown }));
  expect(text).not.toContain("Buy storage.");
  expect(text).not.toContain("changed per hour");
  expect(text).toContain("an unknown amount changed");
});

test("a plan shows its drills and the limits of its uploads", () => {
  const nextDrillAt = "2030-01-06T05:00:00.000Z";
  const drills = { cron: "0 5 * * sun", targetId: "agt_2", bootTimeoutSeconds: 600, proveSeconds: 60 };
  const hours = { from: "08:00", to: "18:00", days: ["mon" as const], bytesPerSecond: 2048 };
  const lines = describePlan(plan({ drills, nextDrillAt, bandwidthHours: [hours] })).split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      `  proved drills on agt_2: cron 0 5 * * sun UTC, next ${nextDrillAt}, last none yet`,
      "  uploads at most 2.0 KiB/s 08:00 to 18:00 on mon UTC; otherwise unlimited; now unlimited",
    ]),
  );
});
