/** A source with a plan that is due every hour from one o'clock, in a new world for each test. */
import { beforeEach } from "vitest";
import type { PlanRecord } from "#shared/domain/protection/plan.ts";
import type { RunRecord } from "#shared/domain/protection/run.ts";
import { NewPlan } from "#shared/protocol/protection.ts";
import { beginPlan } from "../protection/begin-plan.ts";
import type { ProtectionDeps } from "../protection/deps.ts";
import { tick } from "../protection/tick.ts";
import { type WatchDeps, watchPlan } from "../protection/watch.ts";
import { run as dispatchCommand, Input } from "../tasks/dispatch-command.ts";
import * as finishRun from "../tasks/finish-run.ts";
import { FakePruneMarks } from "./fake-prune-marks.ts";
import { World } from "./world.ts";

export const planId = "plan_01jd3v8q6m4x2k7zt5w9h0n1yb";
export let world: World;
export let marks: FakePruneMarks;

beforeEach(async () => {
  world = await World.start();
  marks = new FakePruneMarks(world.outage);
  await world.enrolled();
});

/** 1 January 2030 at this time, in milliseconds since 1970. */
export const at = (time: string): number => Date.parse(`2030-01-01T${time}:00.000Z`);

/** Creates the plan at midnight. */
export async function protect(change: object = {}, deps: ProtectionDeps = world): Promise<void> {
  const request = {
    sourceId: "agt_source",
    intervalSeconds: 3600,
    startAt: new Date(at("01:00")).toISOString(),
    retention: { last: 2 },
  };
  await beginPlan(NewPlan.parse({ ...request, ...change }), { id: planId, requestedBy: "ada" }, deps);
}

/** The plan's timer fires at this time, or now if it is later. */
export async function fire(time?: string): Promise<void> {
  const due = world.timer.armed.get(planId) ?? 0;
  world.nowMs = time === undefined ? Math.max(due, world.nowMs) : at(time);
  await tick(planId, due, world);
}

/** The plan's watch fires at this time, or when it is set to. */
export async function fireWatch(time?: string): Promise<void> {
  world.nowMs = time === undefined ? (world.timer.watched.get(planId) ?? 0) : at(time);
  await watchPlan(planId, world);
}

export const plan = (): Promise<PlanRecord> => world.store.plans.get(planId);

/** The plan's runs, oldest first. */
export async function runs(): Promise<RunRecord[]> {
  return (await world.store.runs.page(planId, { limit: 200 })).items.reverse();
}

/** As `HH:MM state`. */
export async function story(): Promise<string[]> {
  return (await runs()).map(({ dueAt, state }) => `${dueAt.slice(11, 16)} ${state}`);
}

export const holder = async (): Promise<string | undefined> =>
  (await world.store.agents.get("agt_source")).heldBy;

/** The workflow asks the source to take the point. Returns the command's id. */
export async function capture(runId: string): Promise<string> {
  world.steps.waiting.add("token");
  const input = { ownerId: runId, pointId: "rp_1", disks: ["vda"] };
  const request = { ownerId: runId, agentId: "agt_source", kind: "take-recovery-point" };
  const { commandId = "" } = await dispatchCommand(
    Input.parse({ ...request, input, taskToken: "token" }),
    world,
  );
  return commandId;
}

export const taken = {
  ...{ name: "vda", sizeBytes: 64, bytesRead: 64, bytesStored: 32, changedBytes: 64, badRanges: 0 },
  ...{ consistency: "crash" as const, wholeCopies: [], seconds: 2, bottleneck: "read" as const },
  ...{
    mode: "hash-scan" as const,
    modeReason: "no tracker",
    view: "still" as const,
    viewReason: "unused",
    trackerDisagreements: 0,
  },
};

/** The workflow has taken the run's point. */
export async function finish(runId: string, more: object = {}, deps: WatchDeps = world): Promise<void> {
  const { nowMs, store } = world;
  const { pointId, sourceId } = await store.runs.get(runId);
  const point = { id: pointId, sourceId, runId, planId, createdAt: new Date(nowMs).toISOString(), disks: [] };
  await store.points.add(point);
  await store.owners.pointRecorded(runId);
  await finishRun.run(finishRun.Input.parse({ runId, disks: [taken], ...more }), { ...deps, marks });
  const execution = world.workflow.executions.get(runId);
  if (execution) execution.running = false;
}
