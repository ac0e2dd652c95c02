/** A plan's standby on a real control plane: it follows its source, and goes only when it is asked to. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PlanDeletion, Run } from "#shared/protocol/protection.ts";
import { firstDifference } from "../site/compare.ts";
import { changeTestDisk } from "../testing/disk-content.ts";
import { completedRun } from "../testing/plan-runs.ts";
import { Site } from "../testing/site.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;

let site: Site;
let planId: string;

beforeAll(async () => {
  site = await Site.start({ disks: { vda: 16 * MiB } });
  const every = { intervalSeconds: 30 * 86_400, retention: { last: 50 } };
  const body = { sourceId: site.sourceId, standbyTargetId: site.targetId, ...every };
  planId = (await site.api.createPlan({ body })).id;
});
afterAll(() => site?.[Symbol.asyncDispose]());

const plan = () => site.api.getPlan({ parameters: { id: planId } });
const standbyDisk = () => join(site.imagesDir, planId, "vda.raw");
const differenceOfStandby = () => firstDifference(site.diskPath("vda"), standbyDisk());

async function run(): Promise<Run> {
  const { id } = await site.api.runPlan({ parameters: { id: planId } });
  return completedRun(site.api, planId, (last) => last.id === id);
}

const gone = () =>
  until("the standby's images to be gone", () => !existsSync(join(site.imagesDir, planId)) || undefined);

test("a standby equals the newest recovery point after each run, which writes only what changed", async () => {
  await completedRun(site.api, planId);
  expect(await differenceOfStandby()).toBeUndefined();
  await changeTestDisk(site.diskPath("vda"), 10 * MiB, "change");
  const { pointId, result } = await run();
  expect(result?.standby).toMatchObject({ state: "applied", leavesRepaired: 0 });
  if (result?.standby?.state === "applied") expect(result.standby.bytesWritten).toBeLessThan(MiB);
  expect(await differenceOfStandby()).toBeUndefined();
  expect(await plan()).toMatchObject({ standbyPointId: pointId, standbyTargetId: site.targetId });
});

test("a source whose agent was started without a list of services to fence says so, and gets no cutover", async () => {
  const window = ["--window", "2100-01-01,22:00-02:00", "--hypervisor", "libvirt", "--nic", "bridge:br0"];
  const words = ["cutover", "create", site.sourceId, "--target", site.targetId, ...window];
  await expect(site.installation.json(words)).rejects.toThrow("has no list of services");
  const { inventory } = await site.api.getSource({ parameters: { id: site.sourceId } });
  expect(inventory?.fencedServices).toEqual([]);
});

test("a standby that is forgotten while its host is away is removed when the host is back", async () => {
  await site.kill("target");
  const answer = await site.installation.json(["plan", planId, "forget-standby", "--yes"]);
  expect(answer).toMatchObject({ standby: { targetId: site.targetId, images: "ordered" } });
  expect(await plan()).toMatchObject({ standbyTargetId: null, standbyPointId: null });
  expect(existsSync(standbyDisk())).toBe(true);
  await site.restart("target");
  await gone();
  expect(await site.installation.json(["plan", planId, "forget-standby"])).toMatchObject({ standby: null });
});

test("a plan that gets a standby again makes a whole one, and is deleted with it and its points on request", async () => {
  await site.api.editPlan({ parameters: { id: planId }, body: { standbyTargetId: site.targetId } });
  const { result } = await run();
  expect(result?.standby).toMatchObject({ state: "applied" });
  expect(await differenceOfStandby()).toBeUndefined();
  const words = ["plan", planId, "delete", "--with-points", "--with-standby"];
  await expect(site.installation.json(words)).rejects.toThrow("only with --yes");
  expect((await plan()).state).toBe("active");
  const deletion = (await site.installation.json([...words, "--yes"])) as PlanDeletion;
  expect(deletion).toMatchObject({ dryRun: false, waitsFor: null, standby: { images: "ordered" } });
  expect(deletion.points).toHaveLength(3);
  await gone();
  expect(readdirSync(join(site.dir, "target", "standbys"))).toEqual([]);
  const listed = { parameters: { id: site.sourceId }, query: { limit: 200 } };
  const { items } = await site.api.listRecoveryPoints(listed);
  expect(items.filter(({ prunedAt }) => prunedAt === undefined)).toEqual([]);
  expect((await site.api.listPlans({})).items).toEqual([]);
});
