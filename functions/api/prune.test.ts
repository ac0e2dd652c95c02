import { beforeEach, expect, test } from "vitest";
import { newPlan } from "#shared/domain/protection/plan.ts";
import { NewPlan } from "#shared/protocol/protection.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { FakePruneMarks } from "../testing/fake-prune-marks.ts";
import { request, World } from "../testing/world.ts";
import { pruneSource } from "./prune.ts";

let world: World;
let marks: FakePruneMarks;
const prune = (body: unknown, id = "agt_source") => {
  const build = () => ({ store: world.store, clock: world.clock, marks });
  const handler = apiHandler({ name: "api/prune", build, operations: { pruneSource } }, world.runtime);
  return request(handler, "POST /sources/{id}/prune", { id }, { body });
};
const body = { planId: "plan_1", retention: { last: 1 } };
const aPlan = (id: string, sourceId: string) => {
  const request = { sourceId, intervalSeconds: 3600, retention: { last: 2 } };
  return newPlan(NewPlan.parse(request), { id, requestedBy: "ada", now: world.nowMs });
};

beforeEach(async () => {
  world = await World.start();
  marks = new FakePruneMarks(world.outage);
  await world.enrolled({ source: { planId: "plan_1" } });
  await world.store.plans.add(aPlan("plan_1", "agt_source"));
  await world.store.plans.add(aPlan("plan_2", "agt_other"));
  for (const [id, at] of [
    ["rp_1", "2029-01-01T00:00:00.000Z"],
    ["rp_2", "2029-01-02T00:00:00.000Z"],
    ["rp_3", "2029-01-03T00:00:00.000Z"],
  ] as const) {
    const point = { id, sourceId: "agt_source", conversionId: "cnv_1", planId: "plan_1", createdAt: at };
    await world.store.points.add({ ...point, disks: [] });
  }
});

test("a dry run shows the verdicts and prunes nothing", async () => {
  const { status, body: result } = await prune({ ...body, dryRun: true });
  expect(status).toBe(200);
  expect(result).toMatchObject({ dryRun: true, points: [{ id: "rp_3" }, { id: "rp_2" }, { id: "rp_1" }] });
  expect(marks.marked).toEqual([]);
  expect(await world.audited()).toEqual([]);
});

test("the source's plan and its retention decide unless the request says otherwise", async () => {
  const { body: result } = await prune({});
  expect(result).toMatchObject({ points: [{ keptBy: ["last"] }, { keptBy: ["last"] }, { keptBy: [] }] });
  expect(marks.marked).toEqual(["agt_source rp_1"]);
});

test("a source without a plan needs the name of one, also of one that was deleted", async () => {
  await world.store.agents.modify("agt_source", ({ planId: _, ...source }) => source);
  expect((await prune({})).status).toBe(409);
  await world.store.plans.modify("plan_1", (plan) => ({ ...plan, state: "deleted" }));
  expect((await prune({ planId: "plan_1", dryRun: true })).status).toBe(200);
});

test.each(["plan_2", "plan_3"])("%s, another source's plan or none, is refused", async (planId) => {
  expect((await prune({ ...body, planId })).status).toBe(404);
  expect(marks.marked).toEqual([]);
});

test("pruning is audited with who asked for it", async () => {
  expect((await prune(body)).status).toBe(200);
  expect(marks.marked.toSorted()).toEqual(["agt_source rp_1", "agt_source rp_2"]);
  expect((await world.audited()).toSorted()).toEqual([
    "ada recovery-point-pruned rp_1 done",
    "ada recovery-point-pruned rp_2 done",
  ]);
});

test.each([
  { ...body, retention: { last: 0 } },
  { ...body, retention: { last: 1, yearly: 1 } },
  { ...body, timeZone: "UTC" },
  { ...body, planId: "../plan_1" },
  { ...body, dryRun: "false" },
])("%j is refused", async (wrong) => {
  expect((await prune(wrong)).status).toBe(400);
  expect(marks.marked).toEqual([]);
});

test.each(["agt_target", "agt_nobody"])("%s is no source", async (id) => {
  expect((await prune(body, id)).status).toBe(404);
});
