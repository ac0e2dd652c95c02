/**
 * A protection plan on a real control plane, with a source whose disk is an image: runs come by themselves,
 * every point restores to the bytes of its time, and nothing is lost when a process is killed.
 */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Plan, PlanDeletion, Run } from "#shared/protocol/protection.ts";
import { answered } from "../site/answered.ts";
import { changeTestDisk } from "../testing/disk-content.ts";
import { differenceOfRun } from "../testing/plan-runs.ts";
import { Site } from "../testing/site.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;
const DISK_BYTES = 24 * MiB;

/** How soon a run is asked of the timetable: the scheduler needs a moment to be told. */
const SOON_MS = 4000;

let site: Site;
let planId: string;

beforeAll(async () => {
  site = await Site.start({ disks: { vda: DISK_BYTES } });
  // The drill comes while other tests run: a clone of a disk without a system does not boot.
  const drillAt = new Date(Date.now() + 120_000);
  const cron = `${drillAt.getUTCMinutes()} ${drillAt.getUTCHours()} * * *`;
  const words = ["protect", site.sourceId, "--every", "1h", "--keep", "last=50"];
  words.push("--drill", cron, "--drill-target", site.targetId, "--drill-timeout", "10");
  const plan = (await site.installation.json(words)) as Plan;
  planId = plan.id;
});
afterAll(() => site?.[Symbol.asyncDispose]());

/** Moves the plan's start time, so that its next run is due in a few seconds. Returns the due time. */
async function makeDue(): Promise<string> {
  const startAt = new Date(Date.now() + SOON_MS).toISOString();
  await site.api.editPlan({ parameters: { id: planId }, body: { startAt } });
  return startAt;
}

async function runs(): Promise<Run[]> {
  const call = { parameters: { id: planId }, query: { limit: 200 } };
  return (await answered(() => site.api.listRuns(call)))?.items ?? [];
}

/** The run that was due at this time, once it fits. */
function runDue(dueAt: string, what: string, fits: (run: Run) => boolean): Promise<Run> {
  return until(
    `the run that was due at ${dueAt} ${what}`,
    async () => (await runs()).find((run) => run.dueAt === dueAt && fits(run)),
    240,
  );
}

const completed = (dueAt: string) => runDue(dueAt, "to complete", ({ state }) => state === "completed");

test("runs begin by themselves, store what changed, and their points restore to the disk's bytes", async () => {
  const first = await until(
    "the first run to complete",
    async () => (await runs()).find(({ state }) => state === "completed"),
    240,
  );
  expect(first).toMatchObject({ trigger: "schedule", planId });
  await copyFile(site.diskPath("vda"), join(site.dir, "first"));
  await changeTestDisk(site.diskPath("vda"), 10 * MiB, "change");
  const second = await completed(await makeDue());
  expect(await differenceOfRun(site, first, join(site.dir, "first"))).toBeUndefined();
  expect(await differenceOfRun(site, second, site.diskPath("vda"))).toBeUndefined();
  expect(second.result?.bytesStored).toBeLessThan(MiB);
  expect(first.result?.bytesStored).toBeGreaterThan(8 * MiB);
  const plans = (await site.installation.json(["plans"])) as { items: Plan[] };
  expect(plans.items).toMatchObject([
    {
      ...{ id: planId, sourceId: site.sourceId, intervalSeconds: 3600, state: "active", lag: "protected" },
      lagSeconds: expect.any(Number),
      lastRun: { id: second.id },
      nextRunAt: expect.any(String),
    },
  ]);
  const points = (await site.installation.json(["points", site.sourceId])) as { items: object[] };
  expect(points.items).toContainEqual(
    expect.objectContaining({
      ...{ id: first.pointId, runId: first.id, planId, bootTested: null },
      ...{ consistency: expect.any(String), bytesStored: first.result?.bytesStored },
    }),
  );
});

test("while a source is away its run waits, the next one is skipped, and it catches up once", async () => {
  await site.kill("source");
  const waitsAt = await makeDue();
  const waiting = await runDue(waitsAt, "to wait", ({ state }) => state === "running");
  const skipped = await runDue(await makeDue(), "to be skipped", ({ state }) => state === "skipped");
  expect(skipped.reason).toContain(`is held by protection run ${waiting.id}`);
  const before = (await runs()).length;
  await site.restart("source");
  await completed(waitsAt);
  expect(await runs()).toHaveLength(before);
});

test("a control plane that is killed before a run is due begins it once when it is back", async () => {
  const dueAt = await makeDue();
  await site.kill("cloud");
  const before = Date.parse(dueAt);
  await until("the due time to pass", () => (Date.now() > before ? true : undefined));
  await site.restart("cloud");
  const back = await completed(dueAt);
  expect((await runs()).filter((run) => run.dueAt >= dueAt)).toHaveLength(1);
  expect(await differenceOfRun(site, back, site.diskPath("vda"))).toBeUndefined();
});

test("the newest point is drilled by schedule, and a clone that does not boot raises an alarm", async () => {
  const drill = await until(
    "the scheduled drill to end",
    async () => {
      const { lastDrillId } = await site.api.getPlan({ parameters: { id: planId } });
      const found = lastDrillId && (await site.api.getDrill({ parameters: { id: lastDrillId } }));
      return found && found.endedAt !== undefined ? found : undefined;
    },
    240,
  );
  const verdict = expect.stringMatching(/^(not-booted|unknown)$/);
  expect(drill).toMatchObject({ planId, state: "completed", result: { verdict } });
  const point = await site.api.getRecoveryPoint({ parameters: { id: drill.pointId } });
  expect(point.bootTested).toMatchObject({ drillId: drill.id, verdict: drill.result?.verdict });
  const { items } = await site.api.listAlarms({});
  expect(items).toContainEqual(
    expect.objectContaining({ kind: "drill-failed", subject: planId, state: "open" }),
  );
});

test("a paused plan has no next run but can be run, and a deleted one leaves its points unless asked", async () => {
  await site.installation.json(["plan", planId, "pause"]);
  expect(await site.api.getPlan({ parameters: { id: planId } })).toMatchObject({
    ...{ state: "paused", nextRunAt: null, lag: "suspended" },
  });
  const asked = (await site.installation.json(["plan", planId, "run"])) as Run;
  const { pointId } = await completed(asked.dueAt);
  const dry = await site.installation.json(["plan", planId, "delete", "--dry-run"]);
  expect(dry).toMatchObject({ dryRun: true, plan: { id: planId, state: "paused" } });
  await site.installation.json(["plan", planId, "delete"]);
  expect((await site.api.listPlans({})).items).toEqual([]);
  const listed = { parameters: { id: site.sourceId }, query: { limit: 200 } };
  const { items } = await site.api.listRecoveryPoints(listed);
  expect(items.map(({ id }) => id)).toContain(pointId);
  const parts = ["plan", planId, "delete", "--with-points"];
  await expect(site.installation.json(parts)).rejects.toThrow();
  const { points } = (await site.installation.json([...parts, "--yes"])) as PlanDeletion;
  expect([...points].sort()).toEqual(items.map(({ id }) => id).sort());
  const after = await site.api.listRecoveryPoints(listed);
  expect(after.items.filter(({ prunedAt }) => prunedAt === undefined)).toEqual([]);
});
