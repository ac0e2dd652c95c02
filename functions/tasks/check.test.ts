/** Checks of repositories: what is checked by whom, and what comes of the findings. */
import { beforeEach, expect, test } from "vitest";
import type { AgentRecord } from "#shared/domain/agent.ts";
import { aTarget } from "#shared/domain/testing/records.ts";
import { NewPlan } from "#shared/protocol/protection.ts";
import { boundedProblems, type RepositoryChecked } from "#shared/protocol/repository-check.ts";
import * as checks from "../api/checks.ts";
import { getRecoveryPoint } from "../api/recovery-points.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { beginPlan } from "../protection/begin-plan.ts";
import { interruptNthCall } from "../testing/interrupt-save.ts";
import { request, World } from "../testing/world.ts";
import * as beginCheck from "./begin-check.ts";
import * as dispatchCommand from "./dispatch-command.ts";
import * as endCheck from "./end-check.ts";

let world: World;
beforeEach(async () => {
  world = await World.start();
  await world.enrolled();
});

const SOURCE = "agt_source";
const PLAN = "plan_01jd3v8q6m4x2k7zt5w9h0n1yb";
const MINUTE_MS = 60_000;

async function addPoints(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, at) => `rp_${String(at).padStart(3, "0")}`);
  for (const id of ids)
    await world.store.points.add({ id, sourceId: SOURCE, createdAt: "2030-01-01T00:00:00.000Z", disks: [] });
  return ids;
}

let executions = 0;
const input = (change: object = {}) =>
  beginCheck.Input.parse({
    ...{ executionName: `weekly-${++executions}`, startedAt: new Date(world.nowMs).toISOString() },
    ...{ sourceId: SOURCE, whole: false, ...change },
  });

/** Begins a check at a later time than the one before. */
async function begin(change: object = {}) {
  world.nowMs += MINUTE_MS;
  const { check } = await beginCheck.run(input(change), world);
  return check ?? expect.unreachable();
}

/** What the target host answers: these points are damaged, the others sound. */
function found(pointIds: readonly string[], damaged: readonly string[] = []): RepositoryChecked {
  const points = pointIds.map((pointId) => ({
    pointId,
    verdict: damaged.includes(pointId) ? ("damaged" as const) : ("sound" as const),
  }));
  const problems = damaged.length > 0 ? ["sources/agt_source/packs/aa is damaged: it is missing"] : [];
  return { points, problems, bytesRead: 8, seconds: 1 };
}

/** A check from beginning to end, in which these points are found damaged. */
async function checked(damaged: readonly string[] = [], change: object = {}) {
  const check = await begin(change);
  await endCheck.run({ checkId: check.checkId, found: found(check.pointIds, damaged) }, world);
  return check;
}

const verdict = async (id: string) => (await getRecoveryPoint({ path: { id } } as never, world)).checked;
const alarm = () => world.store.alarms.find({ kind: "repository-damaged", subject: SOURCE });
const addTarget = (change: Partial<AgentRecord>) =>
  world.store.agents.add(aTarget({ certificateId: change.id ?? "", ...change }));

test("a check begins once for an execution and a source, with the newest points and a connected target host", async () => {
  const ids = await addPoints(40);
  const asked = input();
  const first = await beginCheck.run(asked, world);
  expect(await beginCheck.run(asked, world)).toEqual(first);
  expect(first.check).toMatchObject({ sourceId: SOURCE, targetId: "agt_target", whole: false });
  expect(first.check?.pointIds).toHaveLength(16);
  expect(first.check?.pointIds[0]).toBe(ids.at(-1));
});

test("samples get round to every point, and each of them includes the newest", async () => {
  const ids = await addPoints(40);
  const checks = [await checked(), await checked(), await checked()];
  expect(checks.every(({ pointIds }) => pointIds.includes(ids.at(-1) ?? ""))).toBe(true);
  expect(new Set(checks.flatMap(({ pointIds }) => pointIds)).size).toBe(40);
});

test("a whole check judges all points that were not pruned", async () => {
  await addPoints(40);
  await world.store.points.prune("rp_003", "2030-01-01T00:00:00.000Z");
  const { pointIds, whole } = await begin({ whole: true });
  expect(whole).toBe(true);
  expect(pointIds).toHaveLength(39);
  expect(pointIds).not.toContain("rp_003");
});

test("a source without points has nothing to check, also if all of them were pruned", async () => {
  expect(await beginCheck.run(input(), world)).toEqual({});
  await addPoints(1);
  await world.store.points.prune("rp_000", "2030-01-01T00:00:00.000Z");
  expect(await beginCheck.run(input(), world)).toEqual({});
  expect(await world.audited()).toEqual([]);
});

test("a target host that keeps no standby is preferred, and none that is away or revoked is chosen", async () => {
  await addPoints(1);
  const request = { sourceId: SOURCE, intervalSeconds: 3600, standbyTargetId: "agt_target" };
  await beginPlan(NewPlan.parse(request), { id: PLAN, requestedBy: "ada" }, world);
  expect((await begin()).targetId).toBe("agt_target");
  await addTarget({ id: "agt_away", presence: { ...aTarget().presence, state: "disconnected" } });
  await addTarget({ id: "agt_revoked", revokedAt: "2030-01-01T00:00:00.000Z" });
  expect((await begin()).targetId).toBe("agt_target");
  await addTarget({ id: "agt_free" });
  expect((await begin()).targetId).toBe("agt_free");
});

test("if no target host is connected, the audit says that the repository was not checked", async () => {
  await addPoints(1);
  await world.store.agents.modify("agt_target", (agent) => ({
    ...agent,
    presence: { ...agent.presence, state: "disconnected" },
  }));
  expect(await beginCheck.run(input(), world)).toEqual({});
  expect(await world.audited()).toEqual([`causeway repository-not-checked ${SOURCE} refused`]);
});

test("the target host gets the command, and may read the repository for this check", async () => {
  await addPoints(2);
  const { checkId: ownerId, targetId: agentId, pointIds } = await begin();
  world.steps.waiting.add("token");
  const command = { ownerId, sourceId: SOURCE, pointIds, whole: false };
  const wanted = { ownerId, agentId, kind: "check-repository", input: command, taskToken: "token" };
  const { commandId } = await dispatchCommand.run(dispatchCommand.Input.parse(wanted), world);
  expect(world.agents.messagesFor("agt_target")).toEqual([`command ${commandId}`]);
  expect(await world.store.owners.get(ownerId)).toMatchObject({ targetId: agentId, state: "running" });
});

test("each point has the verdict of its newest check, and sound points raise no alarm", async () => {
  await addPoints(2);
  const { checkId } = await checked();
  expect(await verdict("rp_000")).toMatchObject({ checkId, verdict: "sound", method: "sample" });
  const whole = await checked([], { whole: true });
  expect(await verdict("rp_000")).toMatchObject({ checkId: whole.checkId, method: "whole" });
  expect(await alarm()).toBeUndefined();
  expect(await world.audited()).toEqual([
    `causeway repository-checked ${checkId} done`,
    `causeway repository-checked ${whole.checkId} done`,
  ]);
});

test("a damaged point raises one alarm that names the object, and it is checked whole until it is sound", async () => {
  await addPoints(2);
  const { checkId } = await checked(["rp_000"]);
  expect(await verdict("rp_000")).toMatchObject({ verdict: "damaged" });
  expect(await verdict("rp_001")).toMatchObject({ verdict: "sound" });
  const raised = await alarm();
  expect(raised).toMatchObject({
    state: "open",
    sourceId: SOURCE,
    details: { checkId, pointIds: ["rp_000"] },
  });
  expect(raised?.cause).toContain("1 recovery points of");
  expect(raised?.cause).toContain("packs/aa is damaged");
  const second = await checked(["rp_000"]);
  expect(second.whole).toBe(true);
  expect((await alarm())?.reports).toBe(2);
  expect((await checked()).whole).toBe(true);
  expect((await alarm())?.state).toBe("cleared");
  expect((await begin()).whole).toBe(false);
  expect(world.topic.notices.map((notice) => notice.split(" ")[0])).toEqual(["raised", "cleared"]);
});

test("a point that was found damaged stays so until a whole check says that it is sound", async () => {
  await addPoints(2);
  const sample = await begin();
  await checked(["rp_000"]);
  // By a person, who read the alarm.
  await world.store.alarms.modifyExisting({ kind: "repository-damaged", subject: SOURCE }, (one) => ({
    ...one,
    state: "cleared",
  }));
  // A sample that began before, and one that did not see the point's verdict yet.
  await endCheck.run({ checkId: sample.checkId, found: found(sample.pointIds) }, world);
  expect(await verdict("rp_000")).toMatchObject({ verdict: "damaged" });
  const at = "2031-01-01T00:00:00.000Z";
  const late = { checkId: "chk_late", verdict: "sound", method: "sample", at } as const;
  await world.store.points.noteCheck("rp_000", late);
  expect(await verdict("rp_000")).toMatchObject({ verdict: "damaged" });
  await world.store.points.noteCheck("rp_000", { ...late, method: "whole" });
  expect(await verdict("rp_000")).toMatchObject({ verdict: "sound", method: "whole" });
});

test("a whole check of more points than a message holds judges the damaged ones", async () => {
  await addPoints(600);
  const at = new Date(world.nowMs).toISOString();
  await world.store.points.noteCheck("rp_000", { checkId: "chk_1", verdict: "damaged", method: "whole", at });
  const { whole, pointIds } = await begin();
  expect(whole).toBe(true);
  expect(pointIds.slice(0, 2)).toEqual(["rp_599", "rp_000"]);
});

test("a whole check that began before damage was found does not say that it is gone", async () => {
  await addPoints(2);
  const whole = await begin({ whole: true });
  await checked(["rp_000"]);
  await endCheck.run({ checkId: whole.checkId, found: found(whole.pointIds) }, world);
  expect(await verdict("rp_000")).toMatchObject({ verdict: "damaged" });
  expect(await alarm()).toMatchObject({ state: "open" });
  expect((await checked()).whole).toBe(true);
  expect(await verdict("rp_000")).toMatchObject({ verdict: "sound" });
  expect(await alarm()).toMatchObject({ state: "cleared" });
});

test("an alarm about something that no point needs stays until a whole check finds nothing", async () => {
  await addPoints(1);
  const { checkId, pointIds } = await begin({ whole: true });
  const problems = ["sources/agt_source/odd is foreign: no object of a repository has this name"];
  await endCheck.run({ checkId, found: { ...found(pointIds), problems } }, world);
  expect(await verdict("rp_000")).toMatchObject({ verdict: "sound" });
  expect((await alarm())?.state).toBe("open");
  expect((await checked()).whole).toBe(true);
  expect((await alarm())?.state).toBe("cleared");
});

test("by the time a check counts as completed, its points have their verdicts", async () => {
  await addPoints(1);
  const check = await begin();
  const { checks: table } = world.store;
  const modify = table.modify.bind(table);
  const seen: unknown[] = [];
  table.modify = async (...given) => {
    const changed = await modify(...given);
    if (changed.state === "completed") seen.push((await verdict("rp_000"))?.verdict);
    return changed;
  };
  await endCheck.run({ checkId: check.checkId, found: found(check.pointIds, ["rp_000"]) }, world);
  expect(seen).toEqual(["damaged"]);
});

test("a check that found damage, and is given up because the alarm could not be raised, raises it then", async () => {
  await addPoints(1);
  const { checkId, pointIds } = await begin();
  interruptNthCall(world.store.alarms, "modify", 1);
  await expect(endCheck.run({ checkId, found: found(pointIds, ["rp_000"]) }, world)).rejects.toThrow(
    "killed",
  );
  const error = { Error: "Lambda.Unknown", Cause: "" };
  expect(await endCheck.run({ checkId, error }, world)).toEqual({ state: "completed" });
  expect(await alarm()).toMatchObject({ state: "open" });
  expect(await world.audited()).toContain(`causeway repository-checked ${checkId} done`);
});

test("an alarm whose notice cannot be sent is sent by the repetition, and counts once in the audit", async () => {
  await addPoints(1);
  const check = await begin();
  const ended = { checkId: check.checkId, found: found(check.pointIds, ["rp_000"]) };
  world.outage.strike("publish");
  await expect(endCheck.run(ended, world)).rejects.toThrow("outage");
  await endCheck.run(ended, world);
  expect(world.topic.notices).toEqual([`raised repository-damaged ${SOURCE}`]);
  const audited = (await world.audited()).filter((entry) => entry.includes("repository-checked"));
  expect(audited).toEqual([`causeway repository-checked ${check.checkId} done`]);
});

test("a target host's word on points that it was not to check does not count, nor does `gone`", async () => {
  await addPoints(20);
  const { checkId, pointIds } = await begin();
  const other = "rp_000";
  expect(pointIds).not.toContain(other);
  const points = [
    { pointId: other, verdict: "damaged" as const },
    { pointId: pointIds[0] ?? "", verdict: "gone" as const },
  ];
  await endCheck.run({ checkId, found: { points, problems: [], bytesRead: 0, seconds: 1 } }, world);
  expect(await verdict(other)).toBeUndefined();
  expect(await verdict(pointIds[0] ?? "")).toBeUndefined();
  expect(await alarm()).toBeUndefined();
});

test("a check that is given up cancels its command and says nothing about the points", async () => {
  await addPoints(1);
  const { checkId: ownerId, targetId: agentId, pointIds } = await begin();
  world.steps.waiting.add("token");
  const command = { ownerId, sourceId: SOURCE, pointIds, whole: false };
  const wanted = { ownerId, agentId, kind: "check-repository", input: command, taskToken: "token" };
  const { commandId } = await dispatchCommand.run(dispatchCommand.Input.parse(wanted), world);
  const error = { Error: "States.HeartbeatTimeout", Cause: "" };
  expect(await endCheck.run({ checkId: ownerId, error }, world)).toEqual({ state: "failed" });
  expect(await endCheck.run({ checkId: ownerId, error }, world)).toEqual({ state: "failed" });
  expect(world.agents.messagesFor("agt_target").at(-1)).toBe(`cancel ${commandId}`);
  expect(await verdict("rp_000")).toBeUndefined();
  expect(await alarm()).toBeUndefined();
  expect(await world.store.checks.get(ownerId)).toMatchObject({ failure: { name: "AgentSilentError" } });
  expect(await world.audited()).toEqual([`causeway repository-check-failed ${ownerId} done`]);
});

const { handler: _, ...operations } = checks;
const call = (routeKey: string, id: string, body?: object) => {
  const handler = apiHandler({ name: "api/checks", build: () => world, operations }, world.runtime);
  return request(handler, routeKey, { id }, body === undefined ? {} : { body });
};

test("an operator's check is stored, its workflow continues it, and the API shows what was found", async () => {
  await addPoints(2);
  const { status, body } = await call("POST /sources/{id}/checks", SOURCE, { whole: true });
  expect(status).toBe(202);
  expect(body).toMatchObject({ sourceId: SOURCE, targetId: "agt_target", whole: true, state: "running" });
  const id = String(body.id);
  expect(world.workflow.executions.get(id)?.input).toEqual({ sourceId: SOURCE, whole: true });
  const { check } = await beginCheck.run(input({ executionName: id }), world);
  expect(check).toMatchObject({ checkId: id, whole: true });
  await endCheck.run({ checkId: id, found: found(check?.pointIds ?? []) }, world);
  const shown = (await call("GET /checks/{id}", id)).body;
  expect(shown).toMatchObject({ state: "completed", requestedBy: "ada", result: { problems: [] } });
  expect(await world.audited()).toEqual([
    `ada repository-check-started ${id} done`,
    `causeway repository-checked ${id} done`,
  ]);
});

test("an operator's check is refused without points, without a target host, and of an unknown source", async () => {
  const start = (id: string) => call("POST /sources/{id}/checks", id, {});
  expect((await start(SOURCE)).status).toBe(409);
  await addPoints(1);
  await world.store.agents.modify("agt_target", (agent) => ({
    ...agent,
    presence: { ...agent.presence, state: "disconnected" },
  }));
  expect((await start(SOURCE)).status).toBe(409);
  expect((await start("agt_target")).status).toBe(404);
  expect((await call("GET /checks/{id}", "chk_none")).status).toBe(404);
  expect(world.workflow.executions.size).toBe(0);
});

test("a long list of problems is cut so that the message fits, and says how many there were", () => {
  const problems = boundedProblems(Array.from({ length: 1000 }, (_, at) => `${at} ${"x".repeat(5000)}`));
  expect(problems).toHaveLength(20);
  expect(problems.at(-1)).toBe("and 981 more");
  expect(Math.max(...problems.map(({ length }) => length))).toBeLessThanOrEqual(400);
  expect(boundedProblems(["one"])).toEqual(["one"]);
});
