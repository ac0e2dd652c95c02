import { expect, test } from "vitest";
import { apiHandler } from "../middleware/api-handler.ts";
import {
  at,
  capture,
  finish,
  fire,
  marks,
  plan,
  planId,
  protect,
  runs,
  story,
  world,
} from "../testing/protected-source.ts";
import { request, type TestRequest } from "../testing/world.ts";
import * as plans from "./plans.ts";

const { handler: _, ...operations } = plans;
const call = (routeKey: string, id?: string, options: TestRequest = {}) => {
  const handler = apiHandler(
    { name: "api/plans", build: () => ({ ...world, marks }), operations },
    world.runtime,
  );
  return request(handler, routeKey, id === undefined ? {} : { id }, options);
};
const create = (body: object, headers = {}) => call("POST /plans", undefined, { body, headers });
const hourly = { sourceId: "agt_source", intervalSeconds: 3600 };

test("a plan without a start time is due at once, and says so", async () => {
  const { status, body } = await create(hourly);
  expect(status).toBe(201);
  expect(body).toMatchObject({
    ...{ sourceId: "agt_source", intervalSeconds: 3600, cron: null, state: "active" },
    ...{ lagSeconds: null, lag: "waiting", lastRun: null, nextRunAt: new Date(world.nowMs).toISOString() },
    retention: { last: 12, hourly: 24, daily: 14, weekly: 0, monthly: 0 },
  });
  expect(world.timer.armed.get(String(body.id))).toBe(world.nowMs);
  expect(await world.audited()).toEqual([`ada plan-created ${body.id} done`]);
});

test("the same request with the same key creates one plan, also after an interruption", async () => {
  world.outage.strike("arm");
  const headers = { "idempotency-key": "k" };
  expect((await create(hourly, headers)).status).toBe(500);
  const again = await create(hourly, headers);
  expect(again.status).toBe(201);
  expect((await call("GET /plans")).body.items).toMatchObject([{ id: again.body.id }]);
});

test("a source has one plan; when it is deleted, it can have another", async () => {
  const { body } = await create(hourly);
  const second = await create(hourly);
  expect(second).toMatchObject({ status: 409, body: { hint: expect.stringContaining("edit") } });
  await call("DELETE /plans/{id}", String(body.id));
  expect((await create(hourly)).status).toBe(201);
});

test("a plan of a disk that is in use is refused, unless an operator accepts that its points are not consistent", async () => {
  await world.store.agents.modify("agt_source", ({ inventory, ...source }) => ({
    ...source,
    inventory: inventory && {
      ...inventory,
      disks: inventory.disks.map((disk) => ({ ...disk, inUse: true, mountPoints: ["/srv"] })),
    },
  }));
  expect(await create(hourly)).toMatchObject({
    status: 409,
    body: { name: "PreflightFailedError", hint: expect.stringContaining("--accept disk-in-use") },
  });
  expect((await world.store.agents.get("agt_source")).planId).toBeUndefined();
  const accepted = await create({ ...hourly, accept: ["disk-in-use"] });
  expect(accepted).toMatchObject({ status: 201, body: { accept: ["disk-in-use"] } });
});

test("a plan that was never stored gives its source up after two minutes", async () => {
  const never = "plan_01jd3v8q6m4x2k7zt5w9h0n1yb";
  await world.store.agents.modify("agt_source", (source) => ({ ...source, planId: never }));
  expect((await create(hourly)).status).toBe(201);
});

test.each([
  ["no times", { sourceId: "agt_source" }, "intervalSeconds"],
  ["both kinds of times", { ...hourly, cron: "0 * * * *" }, "intervalSeconds"],
  ["an interval of seconds", { ...hourly, intervalSeconds: 90 }, "intervalSeconds"],
  ["an interval below a minute", { ...hourly, intervalSeconds: 30 }, "intervalSeconds"],
  ["an interval of 31 days", { ...hourly, intervalSeconds: 31 * 86_400 }, "intervalSeconds"],
  ["a cron expression that never comes true", { sourceId: "agt_source", cron: "0 0 31 2 *" }, "cron"],
  ["an unknown time zone", { ...hourly, timeZone: "Mars/Olympus" }, "timeZone"],
  ["blackout hours without end", { ...hourly, blackout: [{ from: "00:00", to: "00:00" }] }, "blackout"],
  [
    "bandwidth hours of no limit",
    { ...hourly, bandwidthHours: [{ from: "08:00", to: "18:00", bytesPerSecond: 0 }] },
    "bandwidthHours.0.bytesPerSecond",
  ],
  [
    "drills that never come",
    { ...hourly, drills: { cron: "0 0 31 2 *", targetId: "agt_target" } },
    "drills.cron",
  ],
  ["a disk that the source does not have", { ...hourly, disks: ["vdz"] }, "disks"],
  ["a retention that keeps nothing", { ...hourly, retention: { last: 0 } }, "retention.last"],
  ["an unknown field", { ...hourly, standby: true }, "standby"],
])("a plan with %s is refused, with the field's name", async (_why, body, field) => {
  const answer = await create(body);
  expect(answer).toMatchObject({
    status: 400,
    body: { fields: expect.arrayContaining([expect.objectContaining({ path: field })]) },
  });
  expect(world.timer.armed.size).toBe(0);
  expect((await world.store.agents.get("agt_source")).planId).toBeUndefined();
});

test("a machine that was started by hand cannot be protected", async () => {
  await world.store.agents.modify("agt_source", (one) => ({ ...one, enrolledFrom: "boot-environment" }));
  expect((await create(hourly)).status).toBe(409);
});

test("a run now leaves the timetable as it is", async () => {
  await protect();
  world.nowMs = at("00:20");
  const { status, body } = await call("POST /plans/{id}/runs", planId);
  expect(status).toBe(202);
  expect(body).toMatchObject({ state: "running", trigger: "request", requestedBy: "ada" });
  await finish(String(body.id));
  expect(world.timer.armed.get(planId)).toBe(at("01:00"));
  await fire();
  expect(await story()).toEqual(["00:20 completed", "01:00 running"]);
  const listed = await call("GET /plans/{id}/runs", planId);
  expect(listed.body.items).toMatchObject([
    { state: "running" },
    { state: "completed", pointId: expect.stringMatching(/^rp_/), result: { bytesStored: 32 } },
  ]);
});

test("a run now while another is going is recorded as skipped", async () => {
  await protect();
  await fire();
  world.nowMs += 60_000;
  const { body } = await call("POST /plans/{id}/runs", planId);
  expect(body).toMatchObject({
    state: "skipped",
    reason: expect.stringContaining("is held by protection run"),
  });
});

test("an edited interval takes effect after the run that is due, and the timer stays", async () => {
  await protect();
  const { body } = await call("PATCH /plans/{id}", planId, { body: { intervalSeconds: 300 } });
  expect(body).toMatchObject({ intervalSeconds: 300, nextRunAt: "2030-01-01T01:00:00.000Z" });
  await fire();
  expect(world.timer.armed.get(planId)).toBe(at("01:05"));
});

test("an edit cannot name disks that the source does not have, and a deleted plan says what replaces it", async () => {
  await protect();
  const edit = (body: object) => call("PATCH /plans/{id}", planId, { body });
  expect(await edit({ disks: ["vdz"] })).toMatchObject({
    status: 400,
    body: { fields: [{ path: "disks", message: "source pine has no disk vdz: it has vda" }] },
  });
  expect((await edit({ disks: ["vda"] })).status).toBe(200);
  await call("DELETE /plans/{id}", planId);
  for (const route of ["PATCH /plans/{id}", "POST /plans/{id}/pause", "POST /plans/{id}/runs"])
    expect(
      await call(route, planId, route.startsWith("PATCH") ? { body: { disks: null } } : {}),
    ).toMatchObject({
      status: 409,
      body: { hint: expect.stringContaining("causeway protect agt_source") },
    });
});

test("an edit can replace the interval by a cron expression, and remove disks and limits", async () => {
  await protect({ disks: ["vda"], bandwidthLimitBytesPerSecond: 1000 });
  const { body } = await call("PATCH /plans/{id}", planId, {
    body: { cron: "30 4 * * *", disks: null, bandwidthLimitBytesPerSecond: null },
  });
  expect(body).toMatchObject({
    ...{ intervalSeconds: null, cron: "30 4 * * *", disks: null, bandwidthLimitBytesPerSecond: null },
  });
  await fire();
  expect(world.timer.armed.get(planId)).toBe(at("04:30"));
});

test("bandwidth hours go with each run, and the plan shows which limit is in force", async () => {
  const windows = [{ from: "08:00", to: "18:00", bytesPerSecond: 2_500_000 }];
  await protect({ bandwidthHours: windows, bandwidthLimitBytesPerSecond: 9, timeZone: "Europe/Vienna" });
  await fire();
  const [first] = await runs();
  expect(world.workflow.executions.get(first?.id ?? "")?.input).toMatchObject({
    ...{ bandwidthLimitBytesPerSecond: 9, bandwidthHours: { timeZone: "Europe/Vienna", windows } },
  });
  const current = async () => (await call("GET /plans/{id}", planId)).body.bandwidthNowBytesPerSecond;
  world.nowMs = at("06:59");
  expect(await current()).toBe(9);
  world.nowMs = at("07:00");
  expect(await current()).toBe(2_500_000);
  await call("PATCH /plans/{id}", planId, { body: { bandwidthHours: [] } });
  expect(await current()).toBe(9);
});

test("drills are shown with their next time, and removing them removes it", async () => {
  const drills = { cron: "0 5 * * *", targetId: "agt_target", bootTimeoutSeconds: 600 };
  await protect({ drills });
  const shown = async () => (await call("GET /plans/{id}", planId)).body;
  expect(await shown()).toMatchObject({ drills, nextDrillAt: "2030-01-01T05:00:00.000Z", lastDrillId: null });
  await call("PATCH /plans/{id}", planId, { body: { drills: { ...drills, cron: "0 6 * * *" } } });
  expect(world.timer.drills.get(planId)).toBe(at("06:00"));
  await call("POST /plans/{id}/pause", planId);
  expect(world.timer.drills.size).toBe(0);
  await call("POST /plans/{id}/resume", planId);
  expect(world.timer.drills.get(planId)).toBe(at("06:00"));
  await call("PATCH /plans/{id}", planId, { body: { drills: null } });
  expect(await shown()).toMatchObject({ drills: null, nextDrillAt: null });
  expect(world.timer.drills.size).toBe(0);
  const unknown = { drills: { ...drills, targetId: "agt_source" } };
  expect((await call("PATCH /plans/{id}", planId, { body: unknown })).status).toBe(404);
});

test("a paused plan begins no run, even at a tick that was on its way; a resumed one does", async () => {
  await protect();
  expect((await call("POST /plans/{id}/pause", planId)).body).toMatchObject({
    ...{ state: "paused", nextRunAt: null, lag: "suspended" },
  });
  const { tick } = await import("../protection/tick.ts");
  world.nowMs = at("01:00");
  await tick(planId, at("01:00"), world);
  expect(await runs()).toEqual([]);
  expect(world.timer.armed.size).toBe(0);
  world.nowMs = at("01:30");
  await call("POST /plans/{id}/resume", planId);
  expect(world.timer.armed.get(planId)).toBe(at("01:30"));
});

test("a deleted plan is not listed, stops its run, and begins no other", async () => {
  await protect();
  await fire();
  const { body } = await call("DELETE /plans/{id}", planId);
  expect(body).toMatchObject({ dryRun: false, plan: { state: "deleted" }, points: [], standby: null });
  expect(await story()).toEqual(["01:00 stopping"]);
  expect((await call("GET /plans")).body.items).toEqual([]);
  expect(world.timer.armed.size).toBe(0);
  expect((await call("POST /plans/{id}/runs", planId)).status).toBe(409);
  expect((await call("PATCH /plans/{id}", planId, { body: { intervalSeconds: 60 } })).status).toBe(409);
  // Repeating it repairs an interruption.
  expect((await call("DELETE /plans/{id}", planId)).status).toBe(200);
});

/** Three points: two of the plan, one of a conversion. */
async function withPoints(more: object = {}): Promise<string[]> {
  await protect({ retention: { last: 9 }, ...more });
  for (const _ of [1, 2]) {
    await fire();
    await finish((await runs()).at(-1)?.id ?? "");
  }
  const made = { sourceId: "agt_source", createdAt: "2030-01-01T00:10:00.000Z", disks: [] };
  await world.store.points.add({ ...made, id: "rp_conversion", conversionId: "cnv_1" });
  return (await runs()).map(({ pointId }) => pointId);
}
const remove = (query: Record<string, string>) => call("DELETE /plans/{id}", planId, { query });
const living = async () =>
  (await world.store.points.ofSource("agt_source"))
    .filter(({ prunedAt }) => prunedAt === undefined)
    .map(({ id }) => id);

test("a deletion that is only tried lists what would go, and changes nothing", async () => {
  const pointIds = await withPoints({ standbyTargetId: "agt_target" });
  await fire();
  const { body } = await remove({ points: "prune", standby: "forget", dryRun: "true" });
  expect(body).toMatchObject({
    ...{ dryRun: true, plan: { state: "active" }, waitsFor: (await runs()).at(-1)?.id },
    standby: { targetId: "agt_target", images: "ordered" },
  });
  expect([...(body.points as string[])].sort()).toEqual([...pointIds].sort());
  expect(await living()).toHaveLength(3);
  expect(await story()).toEqual(["01:00 completed", "02:00 completed", "03:00 running"]);
});

test("a plan that is deleted with its points leaves those of conversions", async () => {
  const pointIds = await withPoints();
  const { body } = await remove({ points: "prune" });
  expect([...(body.points as string[])].sort()).toEqual([...pointIds].sort());
  expect(await living()).toEqual(["rp_conversion"]);
  expect(marks.marked).toHaveLength(2);
  // Repeating it finds nothing more.
  expect((await remove({ points: "prune" })).body.points).toEqual([]);
});

test("an outage while a plan is deleted loses nothing: the same request does the rest", async () => {
  await withPoints({ standbyTargetId: "agt_target" });
  world.outage.strike("mark");
  expect((await remove({ points: "prune", standby: "forget" })).status).toBe(500);
  expect((await plan()).state).toBe("deleted");
  expect((await remove({ points: "prune", standby: "forget" })).status).toBe(200);
  expect(await living()).toEqual(["rp_conversion"]);
  expect(marks.marked).toHaveLength(2);
  expect(world.agents.messagesFor("agt_target")).toHaveLength(1);
});

test("while the plan's run is being stopped, no point and no standby goes", async () => {
  await withPoints({ standbyTargetId: "agt_target" });
  await fire();
  const { id } = (await runs()).at(-1) ?? expect.unreachable();
  await capture(id);
  const { body } = await remove({ points: "prune", standby: "forget" });
  expect(body).toMatchObject({ plan: { state: "deleted" }, points: [], standby: null, waitsFor: id });
  expect(await living()).toHaveLength(3);
  await world.workflow.stop(id);
  expect((await remove({ points: "prune", standby: "forget" })).body).toMatchObject({
    ...{ standby: { images: "ordered" }, waitsFor: null },
  });
  expect(await living()).toEqual(["rp_conversion"]);
});

test("a standby is forgotten once its host has the command to remove it, and the plan continues", async () => {
  await withPoints({ standbyTargetId: "agt_target" });
  await fire();
  expect((await call("DELETE /plans/{id}/standby", planId)).status).toBe(409);
  const { id } = (await runs()).at(-1) ?? expect.unreachable();
  await finish(id);
  const { body } = await call("DELETE /plans/{id}/standby", planId);
  expect(body).toMatchObject({
    plan: { state: "active", standbyTargetId: null, standbyPointId: null },
    standby: { targetId: "agt_target", images: "ordered" },
  });
  expect(world.agents.messagesFor("agt_target")).toEqual([`command ${id}.forget-standby.1`]);
  expect((await call("DELETE /plans/{id}/standby", planId)).body.standby).toBeNull();
});

test("the standby of a target host that is gone is forgotten without it", async () => {
  await withPoints({ standbyTargetId: "agt_target" });
  await world.store.agents.modify("agt_target", (one) => ({ ...one, revokedAt: "2030-01-01T00:30:00.000Z" }));
  const { body } = await call("DELETE /plans/{id}/standby", planId);
  expect(body).toMatchObject({ plan: { standbyTargetId: null }, standby: { images: "left" } });
  expect(world.agents.messagesFor("agt_target")).toEqual([]);
});

test("lag is the age of the newest point, and late means that a run has been missed", async () => {
  await protect();
  await fire();
  await finish((await runs())[0]?.id ?? "");
  const shown = async () => (await call("GET /plans/{id}", planId)).body;
  world.nowMs = at("01:50");
  expect(await shown()).toMatchObject({
    lagSeconds: 3000,
    lag: "protected",
    lateAt: "2030-01-01T03:05:00.000Z",
  });
  world.nowMs = at("03:06");
  expect(await shown()).toMatchObject({ lag: "late" });
  expect((await plan()).lateAt).toBe("2030-01-01T03:05:00.000Z");
});

test("in blackout hours the plan says that nothing is promised", async () => {
  await protect({ blackout: [{ from: "00:00", to: "06:00" }] });
  const { body } = await call("GET /plans/{id}", planId);
  expect(body).toMatchObject({ lag: "suspended", nextRunAt: "2030-01-01T06:00:00.000Z" });
});

test.each(["GET /plans/{id}", "POST /plans/{id}/pause", "DELETE /plans/{id}", "GET /plans/{id}/runs"])(
  "%s of a plan that does not exist is not found",
  async (route) => {
    expect((await call(route, "plan_1")).status).toBe(404);
  },
);
