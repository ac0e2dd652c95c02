import { expect, test } from "vitest";
import type { RunRecord } from "#shared/domain/protection/run.ts";
import { aDisk, anInventory } from "#shared/domain/testing/records.ts";
import { RunStoppedError } from "#shared/errors.ts";
import { run as abandonRun } from "../tasks/abandon-run.ts";
import * as recordRecoveryPoint from "../tasks/record-recovery-point.ts";
import {
  at,
  capture,
  finish,
  fire,
  fireWatch,
  holder,
  marks,
  plan,
  planId,
  protect,
  runs,
  story,
  taken,
  world,
} from "../testing/protected-source.ts";
import { stopRun } from "./abandon-run.ts";
import { tick } from "./tick.ts";

const lastRun = async () => (await runs()).at(-1) ?? expect.unreachable();

test("a plan's runs follow its timetable, one after the other", async () => {
  await protect();
  expect(world.timer.armed.get(planId)).toBe(at("01:00"));
  for (const _ of [1, 2, 3]) {
    await fire();
    await finish((await lastRun()).id);
  }
  expect(await story()).toEqual(["01:00 completed", "02:00 completed", "03:00 completed"]);
  expect(world.timer.armed.get(planId)).toBe(at("04:00"));
  expect([...world.workflow.executions.values()].map(({ input }) => input)).toMatchObject([
    ...Array(3).fill({ sourceId: "agt_source", disks: ["vda"], allBlocks: false }),
  ]);
  expect(await holder()).toBeUndefined();
  // The retention keeps two.
  expect(marks.marked).toHaveLength(1);
});

test("a plan that names no disks reads those that the source reported last, one that names some reads these", async () => {
  const report = (...names: string[]) =>
    world.store.agents.modify("agt_source", (source) => ({
      ...source,
      inventory: anInventory({ disks: names.map((name) => aDisk(name)) }),
    }));
  const read = () => [...world.workflow.executions.values()].map(({ input }) => (input as RunRecord).disks);
  await protect();
  for (const names of [["vda", "vdb"], ["vdb"]]) {
    await report(...names);
    await fire();
    await finish((await lastRun()).id);
  }
  expect(read()).toEqual([["vda", "vdb"], ["vdb"]]);
  await world.store.plans.modify(planId, (one) => ({ ...one, disks: ["vda"] }));
  await fire();
  expect(read().at(-1)).toEqual(["vda"]);
});

/** Where a process can be killed while a run begins: before or after each of these calls. */
const STEPS = ["runs.add", "agents.modify", "workflow.start", "timer.arm", "plans.modify"] as const;
const KILLS = STEPS.flatMap((step) => [
  { step, when: "before" as const },
  { step, when: "after" as const },
]);

/** The next call is the process's last. */
function killAt(step: (typeof STEPS)[number], when: "before" | "after"): void {
  const [part = "", method = ""] = step.split(".");
  const parts = { ...world.store, workflow: world.workflow, timer: world.timer };
  const target = parts[part as keyof typeof parts] as unknown as Record<
    string,
    (...given: unknown[]) => unknown
  >;
  const real = target[method]?.bind(target);
  target[method] = async (...given) => {
    Reflect.deleteProperty(target, method);
    if (when === "after") await real?.(...given);
    throw new Error("killed");
  };
}

test.each(KILLS)(
  "killed $when $step, a run begins once when the tick is repeated",
  async ({ step, when }) => {
    await protect();
    killAt(step, when);
    await expect(fire("01:00")).rejects.toThrow("killed");
    await tick(planId, at("01:00"), world);
    expect(await story()).toEqual(["01:00 running"]);
    expect(world.workflow.executions.size).toBe(1);
    expect(await holder()).toBe((await lastRun()).id);
    expect(world.timer.armed.get(planId)).toBe(at("02:00"));
    expect((await plan()).nextRunAt).toBe("2030-01-01T02:00:00.000Z");
  },
);

test.each(KILLS)("killed $when $step and not repeated, the watch begins the run", async ({ step, when }) => {
  await protect();
  killAt(step, when);
  await expect(fire("01:00")).rejects.toThrow("killed");
  await fireWatch();
  // If only the last step was missing, its time for the next run has passed, too.
  expect((await story())[0]).toBe("01:00 running");
  expect(world.workflow.executions.size).toBe(1);
  expect(world.timer.armed.get(planId)).toBe(at("03:00"));
});

test("two ticks at the same moment begin one run", async () => {
  await protect();
  world.nowMs = at("01:00");
  await Promise.all([tick(planId, at("01:00"), world), tick(planId, at("01:00"), world)]);
  expect(await story()).toEqual(["01:00 running"]);
  expect(world.workflow.executions.size).toBe(1);
});

test("a tick that arrives again after the run has ended starts nothing and holds nothing", async () => {
  await protect();
  await fire();
  await finish((await lastRun()).id);
  await tick(planId, at("01:00"), world);
  expect(await story()).toEqual(["01:00 completed"]);
  expect(await holder()).toBeUndefined();
});

test("while a run is going, the next is skipped with the reason, and the source stays with the first", async () => {
  await protect();
  await fire();
  const first = await lastRun();
  await fire();
  expect(await story()).toEqual(["01:00 running", "02:00 skipped"]);
  expect((await lastRun()).reason).toBe(`source agt_source is held by protection run ${first.id}`);
  expect(await holder()).toBe(first.id);
  await finish(first.id);
  await fire();
  expect(await story()).toEqual(["01:00 completed", "02:00 skipped", "03:00 running"]);
});

test("while a conversion holds the source, runs are skipped", async () => {
  await protect();
  const { aConversion } = await import("#shared/domain/testing/records.ts");
  await world.store.conversions.add(aConversion());
  await world.store.agents.modify("agt_source", (source) => ({ ...source, heldBy: "cnv_1" }));
  await fire();
  expect((await lastRun()).reason).toContain("is held by conversion cnv_1");
  expect(await holder()).toBe("cnv_1");
});

test("a source that was revoked is not read", async () => {
  await protect();
  await world.store.agents.modify("agt_source", (one) => ({ ...one, revokedAt: "2030-01-01T00:30:00.000Z" }));
  await fire();
  expect((await lastRun()).reason).toContain("was revoked");
  expect(world.workflow.executions.size).toBe(0);
});

test("after an outage of hours there is one run, and then the timetable continues", async () => {
  await protect();
  await fire("07:20");
  expect(await story()).toEqual(["01:00 running"]);
  expect(world.timer.armed.get(planId)).toBe(at("08:00"));
});

test("a run whose workflow has ended without ending it frees the source at the next tick", async () => {
  await protect();
  await fire();
  await world.workflow.stop((await lastRun()).id);
  await fire();
  expect(await story()).toEqual(["01:00 failed", "02:00 running"]);
  expect((await runs())[0]?.failure?.name).toBe("WorkflowInterruptedError");
});

test("a failed run frees the source, cancels its command, and says why", async () => {
  await protect();
  await fire();
  const { id } = await lastRun();
  const commandId = await capture(id);
  const error = { Error: "States.Timeout", Cause: "" };
  for (let times = 0; times < 2; times++) await abandonRun({ runId: id, error }, world);
  expect(await story()).toEqual(["01:00 failed"]);
  expect((await lastRun()).failure?.name).toBe("StepTimedOutError");
  expect((await world.store.commands.find(commandId))?.state).toBe("cancelled");
  expect(await holder()).toBeUndefined();
  expect((await world.audited()).filter((entry) => entry.includes("run-failed"))).toHaveLength(1);
});

test("a run that is stopped ends its command, and nothing more goes out for it", async () => {
  await protect();
  await fire();
  const { id } = await lastRun();
  await capture(id);
  await stopRun(id, world);
  expect(world.steps.outcomes.get("token")).toMatchObject({ failure: { name: "RunStoppedError" } });
  await expect(capture(id)).rejects.toThrow(RunStoppedError);
  expect(await story()).toEqual(["01:00 stopping"]);
  await expect(finish(id)).rejects.toThrow(RunStoppedError);
  await world.workflow.stop(id);
  await stopRun(id, world);
  expect((await lastRun()).failure?.name).toBe("RunStoppedError");
  expect(await holder()).toBeUndefined();
});

test("a run's point says which run and plan made it", async () => {
  await protect();
  await fire();
  const { id, pointId } = await lastRun();
  await recordRecoveryPoint.run({ ownerId: id, disks: [taken] }, world);
  expect(await world.store.points.get(pointId)).toMatchObject({ id: pointId, runId: id, planId });
  expect((await lastRun()).pointRecorded).toBe(true);
});

test("an outage of the marks does not fail a run; the next run prunes", async () => {
  await protect({ retention: { last: 1 } });
  await fire();
  await finish((await lastRun()).id);
  await fire();
  world.outage.strike("mark");
  await finish((await lastRun()).id);
  expect(await story()).toEqual(["01:00 completed", "02:00 completed"]);
  expect(marks.marked).toEqual([]);
  await fire();
  await finish((await lastRun()).id);
  expect(marks.marked).toHaveLength(2);
});

test("a run shows how its point was frozen and what its hooks did, as the source reported it; so does the point", async () => {
  await protect();
  await fire();
  const { id } = await lastRun();
  const frozen = { from: "2030-01-01T01:00:00.100Z", until: "2030-01-01T01:00:00.300Z" };
  const hooks = {
    scripts: [{ hook: "db", phase: "before" as const, outcome: "succeeded" as const, seconds: 1 }],
  };
  // The workflow has the result, and continues, before the command is marked.
  await capture(id);
  await recordRecoveryPoint.run({ ownerId: id, disks: [taken], frozen, hooks }, world);
  await finish(id, { freeze: { freezeMilliseconds: 200, frozen, hooks } });
  expect((await lastRun()).result).toMatchObject({ freezeMilliseconds: 200, frozen, hooks });
  expect(await world.store.points.get((await lastRun()).pointId)).toMatchObject({ frozen, hooks });
});

test("while a machine runs in place of its source, a plan makes no points, because they would be fenced", async () => {
  await protect();
  const lease = { ownerId: "rcv_1", targetId: "agt_target", term: 1, state: "permanent" as const };
  await world.store.leases.save({ id: "agt_source", ...lease, version: 0 });
  await fire();
  expect(await lastRun()).toMatchObject({ state: "skipped", reason: expect.stringContaining("rcv_1") });
  await world.store.leases.modify("agt_source", (one) => ({ ...one, state: "none", ownerId: undefined }));
  await fire();
  expect(await lastRun()).toMatchObject({ state: "running" });
});

test("how far a point is behind counts from when the source began to work on it", async () => {
  await protect();
  await fire();
  const { id } = await lastRun();
  // The source was away for twenty minutes.
  world.nowMs = at("01:20");
  const commandId = await capture(id);
  // It is not marked as done yet when the run ends.
  const command = await world.store.commands.modify(commandId, (one) => ({
    ...one,
    state: "running",
    startedAt: new Date(at("01:20")).toISOString(),
  }));
  const kind = "apply-to-standby" as const;
  const ended = { state: "succeeded" as const, startedAt: new Date(at("01:29")).toISOString() };
  await world.store.commands.save({ ...command, ...ended, kind, id: `${id}.${kind}.1`, version: 0 });
  world.nowMs = at("01:30");
  await finish(id);
  expect((await plan()).lastPoint?.heldAt).toBe("2030-01-01T01:20:00.000Z");
});

const applied = (pointId: string) => ({
  ...{ pointId, disks: [{ name: "vda", sizeBytes: 64, path: "/standby", method: "changes" }], seconds: 1 },
  ...{ bytesWritten: 8, bytesZeroed: 0, bytesFetched: 8, bytesRead: 0, leavesChecked: 0, leavesRepaired: 0 },
});

test("the point that the standby equals is not pruned, because the next one is applied as its change", async () => {
  await protect({ standbyTargetId: "agt_target", retention: { last: 1 } });
  await fire();
  const first = await lastRun();
  expect(world.workflow.executions.get(first.id)?.input).toMatchObject({
    standby: { planId, targetId: "agt_target" },
  });
  await finish(first.id, { applied: applied(first.pointId) });
  expect((await plan()).standbyPointId).toBe(first.pointId);
  await fire();
  const second = await lastRun();
  await finish(second.id, { notApplied: { Error: "States.HeartbeatTimeout", Cause: "" } });
  expect((await lastRun()).result?.standby).toMatchObject({
    ...{ state: "behind", failure: { name: "AgentSilentError" } },
  });
  expect((await plan()).standbyPointId).toBe(first.pointId);
  expect(marks.marked).toEqual([]);
  await fire();
  const third = await lastRun();
  await finish(third.id, { applied: { ...applied(third.pointId), leavesRepaired: 2 } });
  expect(marks.marked).toHaveLength(2);
  expect((await lastRun()).result?.standby).toMatchObject({ state: "applied", leavesRepaired: 2 });
});

test("by the time a run counts as completed, its plan says which point the standby equals", async () => {
  await protect({ standbyTargetId: "agt_target" });
  await fire();
  const { id, pointId } = await lastRun();
  const { runs: table, plans } = world.store;
  const modify = table.modify.bind(table);
  const seen: unknown[] = [];
  table.modify = async (...given) => {
    const changed = await modify(...given);
    if (changed.state === "completed") seen.push((await plans.get(planId)).standbyPointId);
    return changed;
  };
  await finish(id, { applied: applied(pointId) });
  expect(seen).toEqual([pointId]);
});
