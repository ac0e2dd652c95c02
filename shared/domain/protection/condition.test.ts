import { expect, test } from "vitest";
import { NewPlan, type RunResult } from "../../protocol/protection.ts";
import { conditionOf } from "./condition.ts";
import { newPlan, type PlanRecord, pausedPlan, pointMade } from "./plan.ts";

const at = (time: string) => Date.parse(`2030-01-01T${time}:00.000Z`);

/** A plan that is due every hour from eight o'clock on. */
function aPlan(change: object = {}): PlanRecord {
  const request = { sourceId: "agt_source", intervalSeconds: 3600, startAt: "2030-01-01T08:00:00.000Z" };
  return newPlan(NewPlan.parse({ ...request, ...change }), {
    ...{ id: "plan_01jd3v8q6m4x2k7zt5w9h0n1yb", requestedBy: "ada", now: at("07:00") },
  });
}

const withPoint = (plan: PlanRecord, time: string, changedBytes = 0) =>
  pointMade(plan, {
    id: `rp_${time.slice(0, 2)}`,
    heldAt: new Date(at(time)).toISOString(),
    runId: "run_1",
    changedBytes,
  });

const result = (change: Partial<RunResult> = {}): RunResult => ({
  ...{ disks: [], consistency: "crash", bytesRead: 1, bytesStored: 1, changedBytes: 1, badRanges: 0 },
  ...{ seconds: 10, limitingStage: "upload", ...change },
});
const backlog = (plan: PlanRecord, time: string) => conditionOf(plan, undefined, at(time)).backlog;
const limit = (plan: PlanRecord, of: RunResult) => conditionOf(plan, of, at("09:00")).limit;

test("a plan without a point has an unknown backlog, no limit and no disks", () => {
  const condition = conditionOf(aPlan(), undefined, at("09:00"));
  expect(condition).toMatchObject({ backlog: { runs: null, bytes: null }, limit: null, disks: [] });
  expect(condition.dirtyRate.every(({ bytesPerSecond }) => bytesPerSecond === null)).toBe(true);
});

test("the first point says nothing about how much changes, the second one does", () => {
  const first = withPoint(aPlan(), "08:00", 10e9);
  expect(backlog(first, "08:30")).toEqual({ runs: 0, bytes: null });
  const second = withPoint(first, "09:00", 3600 * 50);
  expect(backlog(second, "09:30")).toEqual({ runs: 0, bytes: 30 * 60 * 50 });
  expect(withPoint(second, "09:00", 1e9)).toBe(second);
});

test("the backlog counts the runs that were due since the newest point", () => {
  const plan = withPoint(aPlan(), "08:00");
  expect(["08:59", "09:00", "10:30", "13:00"].map((time) => backlog(plan, time).runs)).toEqual([0, 1, 2, 5]);
  expect(backlog(pausedPlan(plan), "13:00").runs).toBe(0);
});

test("runs whose times are in blackout hours count once, at their end", () => {
  const plan = withPoint(aPlan({ blackout: [{ from: "09:30", to: "12:30" }] }), "08:00");
  expect(["09:00", "12:29", "12:30", "13:00"].map((time) => backlog(plan, time).runs)).toEqual([1, 1, 2, 3]);
});

test("a cron expression's times count as well, and very many are not counted to the end", () => {
  const cron = { intervalSeconds: undefined, startAt: undefined, cron: "15 * * * *" };
  expect(backlog(withPoint(aPlan(cron), "08:20"), "11:00").runs).toBe(2);
  const often = withPoint(aPlan({ intervalSeconds: 60 }), "08:00");
  expect(conditionOf(often, undefined, at("08:00") + 30 * 86_400_000).backlog.runs).toBe(1000);
});

test("the limit is the stage that the run measured, or applying if that took longer", () => {
  expect(limit(aPlan(), result())).toMatchObject({ stage: "upload", seconds: 10 });
  const standby = { state: "applied" as const, bytesWritten: 1, leavesRepaired: 0, seconds: 30 };
  expect(limit(aPlan(), result({ standby }))).toMatchObject({ stage: "apply", seconds: 30 });
  expect(limit(aPlan(), result({ standby: { ...standby, seconds: 5 } }))).toMatchObject({ stage: "upload" });
});

test("each limit has one action, and a run that takes longer than its interval says that first", () => {
  expect(limit(aPlan(), result())?.action).toBe(
    "Raise the plan's --bandwidth-limit or --bandwidth-hours, or the source's bandwidth to the bucket.",
  );
  expect(limit(aPlan(), result({ seconds: 4000 }))?.action).toMatch(
    /^A run takes longer than the interval: use a longer one, or: Raise/,
  );
});

test("mode and consistency of each disk are those of the newest point", () => {
  const disks: RunResult["disks"] = [
    {
      name: "vda",
      trackerDisagreements: 0,
      consistency: "file-system",
      wholeCopies: [],
      mode: "hash-scan",
      modeReason: "it restarted",
    },
  ];
  expect(conditionOf(aPlan(), result({ disks }), at("09:00")).disks).toEqual(disks);
});
