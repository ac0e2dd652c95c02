import { afterEach, beforeEach, expect, test } from "vitest";
import type { WorkflowError } from "#shared/domain/workflow-failure.ts";
import { CopyDiffersError, failureOf } from "#shared/errors.ts";
import type { BootCheck } from "#shared/protocol/drill.ts";
import { run as abandonDrill } from "../tasks/abandon-drill.ts";
import { Input as ProofInput, run as recordProof } from "../tasks/record-proof.ts";
import { run as recordVerdict } from "../tasks/record-verdict.ts";
import { interruptNthCall } from "../testing/interrupt-save.ts";
import { at, finish, fire, plan, planId, protect, runs, world } from "../testing/protected-source.ts";
import { ScheduledPlans } from "../testing/scheduled-plans.ts";
import { drillTick } from "./scheduled-drill.ts";

const drills = { cron: "30 * * * *", targetId: "agt_target", bootTimeoutSeconds: 60 };
const alarm = () => world.store.alarms.find({ kind: "drill-failed", subject: planId });
const listed = async () => (await world.store.drills.page({ limit: 50 })).items.reverse();
const last = async () => (await listed()).at(-1) ?? expect.unreachable();
/** The drill's timer fires when it is set to. */
async function drillNow(): Promise<void> {
  const due = world.timer.drills.get(planId) ?? expect.unreachable();
  world.nowMs = Math.max(world.nowMs, due);
  await drillTick(planId, due, world);
}
async function judge(verdict: BootCheck["verdict"]): Promise<void> {
  const { id } = await last();
  const bootCheck = { verdict, reason: "as it was found", seconds: 20 };
  await recordVerdict({ drillId: id, bootCheck }, world);
  await world.workflow.stop(id);
}
/** The plan's next run makes a point whose hardware is known. */
async function makePoint(): Promise<string> {
  await fire();
  const { id, pointId } = (await runs()).at(-1) ?? expect.unreachable();
  await world.store.points.add({
    ...{ id: pointId, sourceId: "agt_source", planId, createdAt: new Date(world.nowMs).toISOString() },
    disks: [{ name: "vda", sizeBytes: 64, badRanges: 0, consistency: "crash", wholeCopies: [] }],
  });
  await finish(id);
  return pointId;
}

test("each drill boots the newest point, and the next is due at the schedule's next time", async () => {
  await protect({ drills });
  expect(world.timer.drills.get(planId)).toBe(at("00:30"));
  const pointId = await makePoint();
  await drillNow();
  expect(await last()).toMatchObject({ planId, pointId, targetId: "agt_target", bootTimeoutSeconds: 60 });
  expect(world.timer.drills.get(planId)).toBe(at("01:30"));
  await judge("booted");
  const newer = await makePoint();
  await drillNow();
  expect((await listed()).map((drill) => drill.pointId)).toEqual([pointId, newer]);
  expect(await alarm()).toBeUndefined();
  expect((await world.store.points.get(pointId)).bootTested).toMatchObject({ verdict: "booted" });
});

test("a drill that is given up because its alarm could not be raised raises it then", async () => {
  await protect({ drills });
  await makePoint();
  await drillNow();
  interruptNthCall(world.store.alarms, "modify", 1);
  await expect(judge("not-booted")).rejects.toThrow("killed");
  const error = { Error: "Lambda.Unknown", Cause: "" };
  expect(await abandonDrill({ drillId: (await last()).id, error }, world)).toMatchObject({
    state: "completed",
  });
  expect(await alarm()).toMatchObject({ state: "open", cause: expect.stringContaining("did not boot") });
});

test.each(["start", "armDrill"] as const)(
  "killed at %s, a drill begins once when the tick is repeated",
  async (step) => {
    await protect({ drills });
    await makePoint();
    world.outage.strike(step);
    await expect(drillNow()).rejects.toThrow("outage");
    await drillNow();
    expect(await listed()).toHaveLength(1);
    expect(await plan()).toMatchObject({
      lastDrillId: (await last()).id,
      drillDueAt: "2030-01-01T01:30:00.000Z",
    });
  },
);

test.each(["not-booted", "unknown"] as const)(
  "the verdict %s raises the alarm, and the next that boots clears it",
  async (verdict) => {
    await protect({ drills });
    const pointId = await makePoint();
    await drillNow();
    await judge(verdict);
    const raised = await alarm();
    expect(raised).toMatchObject({ state: "open", sourceId: "agt_source", details: { pointId, verdict } });
    expect(raised?.cause).toContain(pointId);
    await drillNow();
    await judge("booted");
    expect(await alarm()).toMatchObject({ state: "cleared" });
  },
);

test("a drill without a verdict raises the alarm with the failure's words", async () => {
  await protect({ drills });
  await makePoint();
  await drillNow();
  const error: WorkflowError = { Error: "States.Timeout", Cause: "" };
  await abandonDrill({ drillId: (await last()).id, error }, world);
  expect((await alarm())?.cause).toContain("came to no verdict");
});

test.each<[string, () => Promise<unknown>, string]>([
  ["the plan has no point", async () => {}, "no recovery point yet"],
  [
    "its target host was revoked",
    async () => {
      await makePoint();
      await world.store.agents.modify("agt_target", (one) => ({
        ...one,
        revokedAt: new Date(0).toISOString(),
      }));
    },
    "was revoked",
  ],
  [
    "the drill before is still running",
    async () => {
      await makePoint();
      await drillNow();
    },
    "is still running",
  ],
])("a drill does not begin if %s, and the alarm says so", async (_, prepare, words) => {
  await protect({ drills });
  await prepare();
  const before = (await listed()).length;
  await drillNow();
  expect(await listed()).toHaveLength(before);
  expect((await alarm())?.cause).toContain(words);
  // The schedule continues.
  expect(world.timer.drills.get(planId)).toBeGreaterThan(world.nowMs);
});

test("a tick that was on its way when the plan was paused begins nothing", async () => {
  await protect({ drills });
  await makePoint();
  await world.store.plans.modify(planId, ({ drillDueAt: _, ...one }) => ({ ...one, state: "paused" }));
  await drillNow();
  expect(await listed()).toEqual([]);
  expect(world.timer.drills.size).toBe(0);
});

test("a run sets the timer of a drill again that the scheduler has lost", async () => {
  await protect({ drills });
  world.timer.drills.clear();
  await makePoint();
  expect(world.timer.drills.size).toBe(0);
  await makePoint();
  expect(world.timer.drills.get(planId)).toBe(at("00:30"));
});

test("a drill whose files cannot be compared boots its clone all the same, and the alarm says why until one is proved", async () => {
  await protect({ drills: { ...drills, proveSeconds: 30 } });
  const pointId = await makePoint();
  await drillNow();
  const { id: ownerId } = await last();
  expect(world.workflow.executions.get(ownerId)?.input).toMatchObject({ prove: { budgetSeconds: 30 } });
  await recordProof(ProofInput.parse({ ownerId, pointId }), world);
  await judge("booted");
  expect((await world.store.points.get(pointId)).bootTested).toMatchObject({ verdict: "booted" });
  expect(await alarm()).toMatchObject({ state: "open", cause: expect.stringContaining("were not frozen") });
  await drillNow();
  const hashed = { list: "a".repeat(64), files: 1, bytes: 1, found: 1, foundAll: true, changed: 0 };
  const compared = { equal: 1, bytes: 1, moved: 0, different: 0, differences: [], unopened: [], seconds: 1 };
  const facts = { hashed: { ...hashed, unreadable: 0, leftOut: [], seconds: 1 }, compared };
  // What was recorded first stays.
  await expect(recordProof(ProofInput.parse({ ownerId, pointId, ...facts }), world)).resolves.toEqual({
    outcome: "unknown",
  });
  await recordProof(ProofInput.parse({ ownerId: (await last()).id, pointId, ...facts }), world);
  await judge("booted");
  expect(await alarm()).toMatchObject({ state: "cleared" });
});

test("a difference that a scheduled drill finds raises the alarm with the file", async () => {
  await protect({ drills: { ...drills, proveSeconds: 30 } });
  await makePoint();
  await drillNow();
  const failure = failureOf(new CopyDiffersError("rp_1", 1, "/etc/hosts"));
  const error: WorkflowError = { Error: failure.name, Cause: JSON.stringify(failure) };
  await abandonDrill({ drillId: (await last()).id, error }, world);
  expect(await alarm()).toMatchObject({ state: "open", cause: expect.stringContaining("/etc/hosts") });
});

let scheduled: ScheduledPlans;
beforeEach(() => {
  scheduled = new ScheduledPlans();
});
afterEach(() => scheduled.close());

test("EventBridge Scheduler begins each drill once, even if it calls twice", async () => {
  await protect({ drills: { ...drills, cron: "30 */2 * * *" } }, scheduled.deps);
  scheduled.fate = (name) => (name === "drill-plan" ? 2 : 0);
  await world.store.plans.modify(planId, (one) => ({
    ...one,
    lastPoint: { id: "rp_1", heldAt: new Date(world.nowMs).toISOString() },
  }));
  await world.store.points.add({
    ...{ id: "rp_1", sourceId: "agt_source", planId, createdAt: new Date(world.nowMs).toISOString() },
    disks: [{ name: "vda", sizeBytes: 64, badRanges: 0, consistency: "crash", wholeCopies: [] }],
  });
  await scheduled.passUntil(at("05:00"), async () => {
    for (const { running } of world.workflow.executions.values()) if (running) await judge("booted");
  });
  expect((await listed()).map(({ createdAt }) => createdAt.slice(11, 16))).toEqual([
    "00:30",
    "02:30",
    "04:30",
  ]);
});
