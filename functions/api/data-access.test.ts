import { expect, test } from "vitest";
import type { DrillRecord } from "#shared/domain/drill.ts";
import { aConversion, aDrill } from "#shared/domain/testing/records.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { request, World } from "../testing/world.ts";
import { openOwnerData, openSourceData } from "./data-access.ts";

const SOURCE_CERTIFICATE = "c".repeat(64);
const TARGET_CERTIFICATE = "d".repeat(64);

async function start(change: Parameters<typeof aConversion>[0] = {}) {
  const world = await World.start();
  await world.enrolled();
  await world.store.conversions.add(aConversion(change));
  const { store, broker, clock } = world;
  const place = { bucket: "bucket", region: "local-1", awsEndpoint: "http://aws.local" };
  const build = () => ({ store, broker, clock, ...place });
  const operations = { openSourceData, openOwnerData };
  const handler = apiHandler({ name: "api/data-access", build, operations }, world.runtime);
  return {
    world,
    asUser: (id: string) => request(handler, "POST /sources/{id}/data-access", { id }),
    asAgent: (certificate: string, id = "cnv_1") =>
      request(handler, "POST /owners/{id}/data-access", { id }, { as: { certificate } }),
  };
}

test("the target host of a running conversion may read its source, and that is audited", async () => {
  const { world, asAgent } = await start();
  const { status, body } = await asAgent(TARGET_CERTIFICATE);
  expect(status).toBe(201);
  expect(body).toMatchObject({
    bucket: "bucket",
    prefix: "sources/agt_source/",
    endpoint: "http://aws.local",
  });
  expect(world.broker.grants).toEqual(["agt_source to agt_target"]);
  expect(await world.audited()).toEqual(["agt_target data-access-granted agt_source done"]);
});

test.each<[string, string, Parameters<typeof aConversion>[0]]>([
  ["the source of the conversion", SOURCE_CERTIFICATE, {}],
  ["a target host of another conversion", TARGET_CERTIFICATE, { targetId: "agt_other" }],
  ["the target host after the end", TARGET_CERTIFICATE, { state: "completed" }],
  ["a certificate that no agent has", "f".repeat(64), {}],
])("%s gets nothing, and that is audited", async (_, certificate, change) => {
  const { world, asAgent } = await start(change);
  expect(await asAgent(certificate)).toMatchObject({ status: 403, body: { name: "ForbiddenError" } });
  expect(world.broker.grants).toEqual([]);
  expect((await world.audited()).at(-1)).toMatch(/data-access-refused agt_source refused$/);
});

test.each<[string, string, Partial<DrillRecord>, number]>([
  ["the target host of a running drill", TARGET_CERTIFICATE, {}, 201],
  ["another target host", TARGET_CERTIFICATE, { targetId: "agt_other" }, 403],
  ["the source of a drill", SOURCE_CERTIFICATE, {}, 403],
  ["the target host of a cancelled drill", TARGET_CERTIFICATE, { state: "cancelling" }, 403],
  ["the target host after the drill", TARGET_CERTIFICATE, { state: "completed" }, 403],
])("for a drill, %s gets an answer by its right", async (_, certificate, change, expected) => {
  const { world, asAgent } = await start();
  await world.store.drills.add(aDrill(change));
  expect((await asAgent(certificate, "drl_1")).status).toBe(expected);
});

test("a revoked target host gets nothing", async () => {
  const { world, asAgent } = await start();
  const revokedAt = "2030-01-01T00:00:00.000Z";
  await world.store.agents.modify("agt_target", (agent) => ({ ...agent, revokedAt }));
  expect((await asAgent(TARGET_CERTIFICATE)).status).toBe(403);
});

test("an operator may read a source's repository, and the audit names the operator", async () => {
  const { world, asUser } = await start();
  expect((await asUser("agt_source")).status).toBe(201);
  expect(await world.audited()).toEqual(["ada data-access-granted agt_source done"]);
  expect((await asUser("agt_target")).status).toBe(404);
});

test("the target host of a protection run may read its source while the run is going", async () => {
  const { world, asAgent } = await start();
  const runId = "run_1";
  const dueAt = "2030-01-01T00:00:00.000Z";
  await world.store.runs.add({
    ...{ id: runId, planId: "plan_1", sourceId: "agt_source", state: "running", trigger: "schedule" },
    ...{
      dueAt,
      startedAt: dueAt,
      pointId: "rp_1",
      pointRecorded: false,
      disks: ["vda"],
      allBlocks: false,
      allowInconsistent: false,
    },
    ...{ standbyTargetId: "agt_target", requestedBy: "ada", version: 0 },
  });
  expect((await asAgent(TARGET_CERTIFICATE, runId)).status).toBe(201);
  expect((await asAgent(SOURCE_CERTIFICATE, runId)).status).toBe(403);
  await world.store.runs.modify(runId, (run) => ({ ...run, state: "failed" }));
  expect((await asAgent(TARGET_CERTIFICATE, runId)).status).toBe(403);
});
