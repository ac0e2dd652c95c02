/** What happens between two steps of a function that stops, begins or commits a cutover. */
import { beforeEach, expect, test } from "vitest";
import { failureOf, WrongStateError } from "#shared/errors.ts";
import { prepareRun } from "../protection/begin-run.ts";
import * as beginCutoverRun from "../tasks/begin-cutover-run.ts";
import * as endCutover from "../tasks/end-cutover.ts";
import * as moveCutoverLease from "../tasks/move-cutover-lease.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { beforeNextCall, interruptNthCall } from "../testing/interrupt-save.ts";
import { settleStart } from "./settle-start.ts";
import { haltCutover, rollBackByHand } from "./stop-cutover.ts";
import { wakeCutover } from "./wake-cutover.ts";

let site: CutoverSite;

const keep = (cutoverId: string, deps = site.deps) => {
  const fence = { ...site.fence, lasting: true, services: ["db.service"] };
  return moveCutoverLease.run({ action: "keep", cutoverId, fence }, deps);
};
const at = (time: number) => ({ ...site.deps, clock: { now: () => time } });
const deadlineOf = async (id: string) => Date.parse((await site.cutover(id)).deadlineAt ?? "");

/** Its machine is being checked. */
async function checking(): Promise<string> {
  site.acts = { "bring-up-machine": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:00");
  expect(await site.cutover(id)).toMatchObject({ state: "checking" });
  return id;
}

beforeEach(async () => {
  site = await CutoverSite.start();
});

test("one that commits while its window closes has committed, and is left to its workflow", async () => {
  const id = await checking();
  const deadline = await deadlineOf(id);
  beforeNextCall(site.world.store.cutovers, "modify", () => keep(id));
  await wakeCutover(id, at(deadline));
  expect(await site.cutover(id)).toMatchObject({ state: "committing" });
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id });
});

test("one that commits while its workflow fails ends as failed, and its machine is not switched off", async () => {
  const id = await checking();
  beforeNextCall(site.world.store.cutovers, "modify", () => keep(id));
  await haltCutover(id, failureOf(new WrongStateError("it failed")), site.deps);
  expect(await site.cutover(id)).toMatchObject({ state: "failed" });
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id });
});

test.each([
  ["the deadline", async (id: string) => (await deadlineOf(id)) - site.now, "WindowClosedError"],
  ["the end of the machine's lease", async () => 60_000, "WrongStateError"],
] as const)("a commit that is repeated after %s is none", async (_, after, error) => {
  site.acts = { "bring-up-machine": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:00");
  interruptNthCall(site.world.store.leases, "save", 1);
  await expect(keep(id)).rejects.toThrow("killed");
  expect(await site.cutover(id)).toMatchObject({ state: "committing" });
  const late = at(site.now + (await after(id)));
  await expect(keep(id, late)).rejects.toThrow(expect.objectContaining({ name: error }));
  expect(await site.lease()).toMatchObject({ state: "held" });
});

test("the deadline of a commit that was interrupted leads back, and so does an operator's word", async () => {
  const id = await checking();
  interruptNthCall(site.world.store.leases, "save", 1);
  await expect(keep(id)).rejects.toThrow("killed");
  await wakeCutover(id, at(await deadlineOf(id)));
  expect(await site.cutover(id)).toMatchObject({ state: "rolling-back" });
  await site.pass(60_000);
  expect(await site.cutover(id)).toMatchObject({
    state: "rolled-back",
    sourceServes: "yes",
    failure: { name: "WindowClosedError" },
  });
  expect(site.fence.isUp).toBe(false);
  const next = await site.create();
  await site.pass(15_000);
  interruptNthCall(site.world.store.leases, "save", 1);
  await expect(keep(next)).rejects.toThrow("killed");
  expect((await site.api("POST /cutovers/{id}/rollback", next)).status).toBe(202);
  await site.pass(60_000);
  expect(await site.cutover(next)).toMatchObject({ state: "rolled-back", sourceServes: "yes" });
});

test("an operator's word comes too late for one that has committed, which completes", async () => {
  const id = await checking();
  site.acts = { "connect-machine": ["silent", "done"] };
  await site.connect("agt_target");
  await site.pass(15_000);
  expect(await site.cutover(id)).toMatchObject({ state: "committing" });
  expect(await site.api("POST /cutovers/{id}/rollback", id)).toMatchObject({ status: 409 });
  await site.connect("agt_target");
  await site.pass(15_000);
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});

test("one that has committed, whose workflow was stopped and whose event was lost, ends at an operator's word", async () => {
  site.acts = { "connect-machine": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:01");
  site.fate = () => 0;
  await site.deps.cutovers.stop(id);
  await site.passUntil("03:00");
  expect(await site.cutover(id)).toMatchObject({ state: "committing" });
  const answer = await site.api("POST /cutovers/{id}/rollback", id);
  expect(answer).toMatchObject({ status: 202, body: { state: "failed" } });
  expect(await site.cutover(id)).toMatchObject({
    state: "failed",
    failure: { name: "WorkflowInterruptedError" },
  });
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id });
  expect(site.world.topic.notices).toContain(`raised cutover-held ${id}`);
});

test("a rollback whose workflow dies at any point is continued by the next look, until it has ended", async () => {
  const id = await checking();
  site.acts["power-machine off"] = ["silent"];
  expect((await site.api("POST /cutovers/{id}/rollback", id)).status).toBe(202);
  await site.deps.cutovers.stop(id);
  await site.pass(300_000);
  await site.deps.cutovers.stop(`${id}.2`);
  await site.pass(460_000);
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back", sourceServes: "yes", executions: 3 });
  expect(await site.lease()).toMatchObject({ state: "none" });
  await site.pass(300_000);
  expect(site.world.timer.cutovers.size).toBe(0);
});

test("an end that dies before it is noted is still looked for", async () => {
  const id = await checking();
  await haltCutover(id, failureOf(new WrongStateError("it failed")), site.deps);
  interruptNthCall(site.world.store.cutovers, "modify", 1);
  const ended = endCutover.run({ cutoverId: id, sourceServes: "unknown" }, site.deps);
  await expect(ended).rejects.toThrow("killed");
  expect(await site.cutover(id)).toMatchObject({ state: "rolling-back" });
  expect(site.world.timer.cutovers.has(id)).toBe(true);
});

test("a rollback at the deadline that dies after its mark is continued", async () => {
  const id = await checking();
  await site.deps.cutovers.stop(id);
  interruptNthCall(site.world.store.cutovers, "withCommands", 1);
  await expect(wakeCutover(id, at(await deadlineOf(id)))).rejects.toThrow("killed");
  expect(await site.cutover(id)).toMatchObject({ state: "rolling-back" });
  await site.pass(70 * 60_000);
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back", sourceServes: "yes" });
});

test("one whose workflow was stopped in the outage is rolled back minutes later, not at its deadline", async () => {
  const id = await checking();
  await site.deps.cutovers.stop(id);
  await site.pass(6 * 60_000);
  expect(await site.cutover(id)).toMatchObject({
    ...{ state: "rolled-back", sourceServes: "yes", failure: { name: "WorkflowInterruptedError" } },
  });
});

test("an execution that was started and not noted is not taken for one that was stopped", async () => {
  site.acts = { "bring-up-machine": ["silent"] };
  const id = await site.create();
  await site.deps.cutovers.stop(id);
  interruptNthCall(site.world.store.cutovers, "modify", 1);
  await expect(wakeCutover(id, site.deps)).rejects.toThrow("killed");
  await site.passUntil("01:20");
  expect(await site.cutover(id)).toMatchObject({ state: "checking", executions: 1 });
});

test("a go for one whose workflow was stopped in the outage leads back, and says why", async () => {
  const id = await checking();
  await site.deps.cutovers.stop(id);
  expect((await site.api("POST /cutovers/{id}/go", id)).status).toBe(202);
  await site.pass(60_000);
  expect(await site.cutover(id)).toMatchObject({
    state: "rolled-back",
    sourceServes: "yes",
    failure: {
      name: "WorkflowInterruptedError",
      message: "an earlier execution was stopped before it had ended",
    },
  });
});

test("a look from before it began does not take its deadline away", async () => {
  const id = await site.create({ mode: "hold" });
  const before = await site.cutover(id);
  await site.passUntil("01:00");
  site.acts = { "set-fence up": ["silent"] };
  beforeNextCall(site.world.timer, "armCutover", async () => {
    await site.api("POST /cutovers/{id}/go", id);
    await site.pass(15_000);
  });
  await settleStart(before, at(Date.UTC(2030, 0, 1)));
  expect(await site.cutover(id)).toMatchObject({ state: "quiescing" });
  expect(site.world.timer.cutovers.get(id)).toBeLessThanOrEqual(await deadlineOf(id));
});

test("one whose second workflow commits is left to that, and no third one starts", async () => {
  site.acts = { "connect-machine": ["silent", "done"] };
  const id = await site.create();
  await site.deps.cutovers.stop(id);
  await site.api("PATCH /cutovers/{id}", id, { body: { marginSeconds: 300 } });
  await site.api("PATCH /cutovers/{id}", id, { body: { answerTimeoutSeconds: 60 } });
  await site.passUntil("01:01");
  await wakeCutover(id, at(await deadlineOf(id)));
  expect(await site.cutover(id)).toMatchObject({ state: "committing", executions: 2 });
  await site.connect("agt_target");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});

test.each([
  ["before its run is noted", "cutovers", 2],
  ["before its run holds the source", "agents", 3],
] as const)("one that is rolled back %s leaves no run", async (_, store, runs) => {
  site.acts = { "set-fence up": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:00");
  expect(await site.cutover(id)).toMatchObject({ state: "quiescing" });
  beforeNextCall(site.world.store[store], "modify", () => rollBackByHand(id, "ada", site.deps));
  const begun = beginCutoverRun.run({ cutoverId: id, phase: "pre-sync", turn: 2 }, site.deps);
  await expect(begun).rejects.toThrow(expect.objectContaining({ name: "CutoverStoppedError" }));
  expect((await site.cutover(id)).runs).toHaveLength(runs);
  expect((await site.world.store.agents.get("agt_source")).heldBy).toBeUndefined();
});

test("one that is rolled back before the source was asked to make way gives the right to run back", async () => {
  const id = await site.create();
  site.before.MoveCutoverLease = async () => {
    site.before.DispatchCommand = () => rollBackByHand(id, "ada", site.deps);
  };
  await site.passUntil("01:01");
  expect(site.commands).not.toContain("set-fence up");
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back", sourceServes: "yes" });
  expect(await site.lease()).toMatchObject({ state: "none" });
});

test("a right to run that was given back and has lapsed is in no cutover's way", async () => {
  const given = {
    ownerId: "rcv_01jd3v8q6m4x2k7zt5w9h0n1yb",
    targetId: "agt_target",
    term: 1,
    state: "ending",
  } as const;
  await site.world.store.leases.modify("agt_source", (one) => ({ ...one, ...given }));
  const id = await site.create();
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});

test("a run of the plan whose workflow was stopped is ended, and costs no window", async () => {
  const id = await site.create();
  const { deps } = site;
  const plan = await deps.store.plans.get((await site.cutover(id)).planId);
  const request = { dueAt: site.now + 1, trigger: "schedule", requestedBy: "ada" } as const;
  const run = await prepareRun(plan, request, deps);
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
  expect(await deps.store.runs.get(run.id)).toMatchObject({ state: "failed" });
});
