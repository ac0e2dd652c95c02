import { beforeEach, expect, test } from "vitest";
import { succeeded } from "#shared/domain/command.ts";
import { aDisk, anInventory } from "#shared/domain/testing/records.ts";
import type { WorkflowError } from "#shared/domain/workflow-failure.ts";
import { failureOf, MachineSilentError } from "#shared/errors.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import type { ProofOutcome } from "#shared/protocol/proof.ts";
import * as machines from "../api/machines.ts";
import * as recoveries from "../api/recoveries.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { run as abandonRecovery } from "../tasks/abandon-recovery.ts";
import { run as dispatchCommand, Input } from "../tasks/dispatch-command.ts";
import { run as finishRecovery } from "../tasks/finish-recovery.ts";
import { Input as ProofInput, run as recordProof } from "../tasks/record-proof.ts";
import { request, type TestRequest, World } from "../testing/world.ts";

let world: World;
const { handler: _, ...operations } = recoveries;
const call = (routeKey: string, id?: string, options: TestRequest = {}) => {
  const handler = apiHandler({ name: "api/recoveries", build: () => world, operations }, world.runtime);
  return request(handler, routeKey, id === undefined ? {} : { id }, options);
};
const ordered = { targetId: "agt_target", network: "test", machine: { hypervisor: "libvirt" } };
const start = (change: object = {}, headers: Record<string, string> = {}) =>
  call("POST /sources/{id}/recoveries", "agt_source", { body: { ...ordered, ...change }, headers });
const started = async () => String((await start()).body.id);
const recovery = (id: string) => world.store.recoveries.get(id);
const toTarget = () => world.agents.messagesFor("agt_target");

const point = {
  ...{ id: "rp_1", sourceId: "agt_source", createdAt: "2029-12-31T23:00:00.000Z" },
  disks: [{ name: "vda", sizeBytes: 64, badRanges: 0, consistency: "crash" as const, wholeCopies: [] }],
};
const machine = {
  ...{ hypervisor: "libvirt" as const, name: "pine-1", uuid: "0b2f5c0a-7d61-8c3e-8f00-1a2b3c4d5e6f" },
  ...{ bootDisk: "vda", bootReason: "it is the only disk" },
};
const answer = { seconds: 20, reason: "the login prompt appeared" };
const silence: WorkflowError = {
  Error: "MachineSilentError",
  Cause: JSON.stringify(failureOf(new MachineSilentError("pine-1", "nothing within 900 s"))),
};

beforeEach(async () => {
  world = await World.start();
  const source = { inventory: anInventory({ hostname: "pine", disks: [aDisk("vda")] }) };
  // The source is gone.
  await world.enrolled({ source: { ...source, revokedAt: "2030-01-01T00:00:00.000Z" } });
  await world.store.points.add(point);
});

/** The workflow asks the target host for a command. Returns the command's id. */
async function dispatched(ownerId: string, kind: CommandKind): Promise<string> {
  const { planned, disks } = await recovery(ownerId);
  const written = disks.map((disk) => ({ ...disk, path: `/images/${disk.name}`, format: "qcow2" }));
  const inputs: Partial<Record<CommandKind, object>> = {
    materialise: { ownerId, sourceId: "agt_source", pointId: "rp_1", format: "qcow2", disks },
    "define-machine": { ...planned, dryRun: false, disks: written },
  };
  world.steps.waiting.add(kind);
  const wanted = { ownerId, agentId: "agt_target", kind, input: inputs[kind], taskToken: kind };
  return (await dispatchCommand(Input.parse(wanted), world)).commandId ?? "";
}

test("a recovery of a source that is gone starts its workflow with the newest point and a machine on a test network", async () => {
  await world.store.points.add({ ...point, id: "rp_0" });
  const { status, body } = await start();
  expect(status).toBe(202);
  expect(body).toMatchObject({ pointId: "rp_1", pointCreatedAt: point.createdAt, state: "running" });
  const id = String(body.id);
  expect(world.workflow.executions.get(id)?.input).toMatchObject({
    ...{ recoveryId: id, pointId: "rp_1", sourceId: "agt_source", targetId: "agt_target", firmware: "bios" },
    ...{ disks: [{ name: "vda", sizeBytes: 64 }], check: { kind: "console" }, timeoutSeconds: 900 },
    planned: {
      ...{ ownerId: id, hypervisor: "libvirt", title: "pine", dryRun: false },
      shape: { firmware: "bios", cards: [{ link: { kind: "isolated" } }] },
    },
  });
  expect((await call("GET /recoveries")).body.items).toMatchObject([{ id }]);
  expect(await world.audited()).toEqual([`ada recovery-started ${id} done`]);
});

test("what an operator has to look after in the adapted system is shown with the recovery", async () => {
  const id = String((await start({ adapt: true })).body.id);
  const shown = async () => (await call("GET /recoveries/{id}", id)).body;
  expect(await shown()).not.toHaveProperty("notes");
  const { planned, adaptation, disks } = await recovery(id);
  const written = disks.map((disk) => ({ ...disk, path: `/images/${disk.name}`, format: "qcow2" }));
  world.steps.waiting.add("adapt-machine");
  const { sourceId, pointId } = planned;
  const input = { ...adaptation, ownerId: id, sourceId, pointId, disks: written, dryRun: false };
  const wanted = { ownerId: id, agentId: "agt_target", kind: "adapt-machine", input, taskToken: "adapt" };
  const { commandId = "" } = await dispatchCommand(Input.parse(wanted), world);
  const output = {
    ...{ changes: [], commands: [], notes: ["/etc/exports names 192.0.2.10"], isApplied: true },
    ...{ stale: [], computeSeconds: 1, applySeconds: 1 },
  };
  const done = await world.store.commands.modify(commandId, (one) =>
    succeeded(one, output, "2030-01-01T00:00:05.000Z"),
  );
  expect(await shown()).toMatchObject({ notes: output.notes });
  // What a person tries by hand changes nothing in the system.
  await world.store.commands.save({
    ...{ ...done, id: `${id}.adapt-machine.2`, attempt: 2, version: 0, issuedAt: "2030-01-01T00:01:00.000Z" },
    output: { ...output, notes: [], isApplied: false },
  });
  expect(await shown()).toMatchObject({ notes: output.notes });
});

test("a point whose copy was found to differ from the source is not chosen, whatever later proofs say", async () => {
  await world.store.points.add({ ...point, id: "rp_2" });
  const found = (outcome: ProofOutcome, day: string) =>
    world.store.points.noteProof("rp_2", {
      ...{ ownerId: "cut_1", outcome, files: 2, bytes: 20, at: `2030-01-0${day}T00:00:00.000Z` },
    });
  const proved = async () => (await world.store.points.get("rp_2")).proved?.outcome;
  await found("unknown", "1");
  await found("equal", "2");
  await found("unknown", "3");
  expect(await proved()).toBe("equal");
  expect((await start()).body.pointId).toBe("rp_2");
  await found("different", "4");
  for (const outcome of ["unknown", "equal"] as const) await found(outcome, "5");
  expect(await proved()).toBe("different");
  expect((await start()).body.pointId).toBe("rp_1");
  expect((await start({ pointId: "rp_2" })).body.pointId).toBe("rp_2");
});

test("a point that is pruned or known as damaged is not chosen, and a damaged one only if it is named", async () => {
  const at = "2030-01-01T00:00:00.000Z";
  await world.store.points.add({ ...point, id: "rp_2" });
  await world.store.points.add({ ...point, id: "rp_3" });
  await world.store.points.prune("rp_3", at);
  await world.store.points.noteCheck("rp_2", { checkId: "chk_1", verdict: "damaged", method: "whole", at });
  expect((await start()).body.pointId).toBe("rp_1");
  expect((await start({ pointId: "rp_2" })).body.pointId).toBe("rp_2");
  expect((await start({ pointId: "rp_3" })).status).toBe(409);
});

test.each<[string, number, object]>([
  [
    "a card that leads out of the test network",
    400,
    {
      machine: { hypervisor: "libvirt", cards: [{ link: { kind: "bridge", bridge: "br0" } }] },
    },
  ],
  [
    "production without the word that the source is off",
    400,
    {
      ...{ network: "production" },
      machine: { hypervisor: "libvirt", cards: [{ link: { kind: "bridge", bridge: "br0" } }] },
    },
  ],
  ["an answer of the target host itself", 400, { check: { kind: "tcp", host: "127.0.0.1", port: 22 } }],
  ["an answer that metadata give", 400, { check: { kind: "http", url: "http://169.254.169.254/" } }],
  ["production on an isolated card", 400, { network: "production", othersOff: true }],
  ["a new identity of a system that is not adapted", 400, { hostKeys: "new" }],
  ["another disk than those of the point", 400, { machine: { hypervisor: "libvirt", bootDisk: "vdz" } }],
  ["a point that does not exist", 404, { pointId: "rp_none" }],
  ["another source's point", 400, { pointId: "rp_other" }],
  ["a source as the target host", 404, { targetId: "agt_source" }],
])("%s is refused, and nothing begins", async (_, status, change) => {
  await world.store.points.add({ ...point, id: "rp_other", sourceId: "agt_other" });
  expect((await start(change)).status).toBe(status);
  expect((await call("GET /recoveries")).body.items).toEqual([]);
  expect(world.workflow.executions.size).toBe(0);
});

test("the same request with the same key starts one recovery, also after an interruption", async () => {
  const key = { "idempotency-key": "k" };
  world.outage.strike("start");
  expect((await start({}, key)).status).toBe(500);
  const again = await start({}, key);
  expect(again.status).toBe(202);
  expect([...world.workflow.executions.keys()]).toEqual([again.body.id]);
});

test("a recovery is completed with its machine and the time from the request to the answer", async () => {
  const id = await started();
  world.nowMs += 93_500;
  for (let times = 0; times < 2; times++) await finishRecovery({ recoveryId: id, machine, answer }, world);
  expect((await call("GET /recoveries/{id}", id)).body).toMatchObject({
    ...{ state: "completed", machine: { name: "pine-1" }, answer, rtoSeconds: 93.5 },
  });
  expect(await world.audited()).toEqual([
    `ada recovery-started ${id} done`,
    `causeway recovery-completed ${id} done`,
  ]);
  expect((await call("POST /recoveries/{id}/cancel", id)).status).toBe(409);
});

test("a recovery that fails before its machine is defined leaves nothing on the target host", async () => {
  const id = await started();
  const command = await dispatched(id, "materialise");
  world.outage.strike("fail");
  await expect(abandonRecovery({ recoveryId: id, error: silence }, world)).rejects.toThrow("outage");
  for (let times = 0; times < 2; times++) await abandonRecovery({ recoveryId: id, error: silence }, world);
  expect(await recovery(id)).toMatchObject({ state: "failed", failure: { name: "MachineSilentError" } });
  expect((await call("GET /recoveries/{id}", id)).body).not.toHaveProperty("disks");
  expect(toTarget()).toEqual([`command ${command}`, `cancel ${command}`, `command ${id}.release.1`]);
});

test("a machine that does not answer stays, and is stopped and removed as that of a conversion", async () => {
  const id = await started();
  const command = await dispatched(id, "define-machine");
  const change = (body: object) => {
    const { handler: _, ...operations } = machines;
    const handler = apiHandler({ name: "api/machines", build: () => world, operations }, world.runtime);
    return request(handler, "POST /owners/{id}/machine", { id }, { body });
  };
  expect((await change({ action: "stop" })).status).toBe(409);
  await abandonRecovery({ recoveryId: id, error: silence }, world);
  expect(toTarget()).toEqual([`command ${command}`, `cancel ${command}`]);
  expect((await call("GET /recoveries/{id}", id)).body).toMatchObject({
    disks: [{ name: "vda", path: "/images/vda", format: "qcow2" }],
  });
  expect((await change({ action: "stop" })).body).toMatchObject({ action: "stop", ownerId: id });
});

test("a cancelled recovery ends what the target host does, and leaves nothing there", async () => {
  const id = await started();
  const command = await dispatched(id, "materialise");
  expect((await call("POST /recoveries/{id}/cancel", id)).body).toMatchObject({ id, state: "cancelling" });
  expect(world.steps.outcomes.get("materialise")).toMatchObject({
    failure: { name: "RecoveryCancelledError" },
  });
  await expect(finishRecovery({ recoveryId: id, machine, answer }, world)).rejects.toMatchObject({
    name: "RecoveryCancelledError",
  });
  const cancelled = { Error: "RecoveryCancelledError", Cause: "" };
  await abandonRecovery({ recoveryId: id, error: cancelled }, world);
  expect(await recovery(id)).toMatchObject({ state: "cancelled" });
  expect(toTarget()).toEqual([`command ${command}`, `cancel ${command}`, `command ${id}.release.1`]);
  expect((await call("POST /recoveries/{id}/cancel", id)).body).toMatchObject({ state: "cancelled" });
});

test("cancelling ends a recovery whose workflow was stopped from outside", async () => {
  const id = await started();
  await world.workflow.stop(id);
  expect((await call("POST /recoveries/{id}/cancel", id)).body).toMatchObject({ state: "cancelled" });
});

const inProduction = {
  ...{ network: "production", othersOff: true },
  machine: { hypervisor: "libvirt", cards: [{ link: { kind: "bridge", bridge: "br0" } }] },
};

test("a recovery in production notes the lease that the word of the operator was given about", async () => {
  await world.store.leases.modify("agt_source", (one) => ({ ...one, term: 3, state: "permanent" }));
  const { status, body } = await start(inProduction);
  expect(status).toBe(202);
  expect((await recovery(String(body.id))).leaseBefore).toEqual({ state: "permanent", term: 3 });
  expect(await recovery(await started())).not.toHaveProperty("leaseBefore");
});

test.each([
  [{ kind: "console" }, true],
  [{ kind: "all", checks: [{ kind: "console" }, { kind: "script", name: "web" }] }, true],
  [{ kind: "tcp", host: "192.0.2.7", port: 22 }, undefined],
  [{ kind: "http", url: "https://192.0.2.7/health" }, undefined],
] as const)(
  "a machine in production whose answer is %j is isolated until it has answered: %s",
  async (check, isolated) => {
    const { planned } = await recovery(String((await start({ ...inProduction, check })).body.id));
    expect(planned.isolated).toBe(isolated);
  },
);

test("a source has one recovery in production at a time, and any number on the test network", async () => {
  const first = String((await start(inProduction)).body.id);
  expect(await start(inProduction)).toMatchObject({
    ...{ status: 409 },
    body: { name: "WrongStateError", hint: expect.stringContaining(first) },
  });
  expect((await start()).status).toBe(202);
  await world.workflow.stop(first);
  await call("POST /recoveries/{id}/cancel", first);
  expect((await start(inProduction)).status).toBe(202);
});

test("a source that is connected is not off, and is recovered on the test network alone", async () => {
  const connected = { state: "connected" as const, sessionId: "s2", at: Date.UTC(2029, 0, 1) };
  await world.store.agents.modify("agt_source", ({ revokedAt: _, ...one }) => ({
    ...one,
    presence: connected,
  }));
  expect(await start(inProduction)).toMatchObject({
    ...{ status: 409 },
    body: { name: "SourceConnectedError", detail: expect.stringContaining("2029-01-01T00:00:00.000Z") },
  });
  expect((await start()).status).toBe(202);
});

test("the machine of a recovery on the test network cannot be defined with a card that leads out of it", async () => {
  const id = await started();
  await dispatched(id, "define-machine");
  await abandonRecovery({ recoveryId: id, error: silence }, world);
  const { handler: _, ...operations } = machines;
  const handler = apiHandler({ name: "api/machines", build: () => world, operations }, world.runtime);
  const define = (link: object) => {
    const body = { action: "define", dryRun: false, hypervisor: "libvirt", cards: [{ link }] };
    return request(handler, "POST /owners/{id}/machine", { id }, { body });
  };
  expect(await define({ kind: "bridge", bridge: "br0" })).toMatchObject({
    ...{ status: 409 },
    body: { name: "WrongStateError", hint: expect.stringContaining("--production") },
  });
  expect((await define({ kind: "isolated" })).body).toMatchObject({ action: "define" });
});

test("the machine of a recovery in production that does not have the lease is not started", async () => {
  const id = String((await start(inProduction)).body.id);
  await dispatched(id, "define-machine");
  await abandonRecovery({ recoveryId: id, error: silence }, world);
  const { handler: _, ...operations } = machines;
  const handler = apiHandler({ name: "api/machines", build: () => world, operations }, world.runtime);
  const turnOn = () => request(handler, "POST /owners/{id}/machine", { id }, { body: { action: "start" } });
  const change = (lease: object) => world.store.leases.modify("agt_source", (one) => ({ ...one, ...lease }));
  for (const lease of [{}, { ownerId: "rcv_other", state: "held" }, { ownerId: id, state: "ending" }]) {
    await change(lease);
    expect(await turnOn()).toMatchObject({ status: 409, body: { name: "WrongStateError" } });
  }
  await change({ ownerId: id, state: "permanent" });
  expect((await turnOn()).body).toMatchObject({ action: "start" });
});

/** The source runs, and the point was taken while its file systems were frozen. */
async function provable(): Promise<string> {
  const frozen = { from: "2029-12-31T22:59:59.000Z", until: "2029-12-31T23:00:00.000Z" };
  await world.store.agents.modify("agt_source", ({ revokedAt: _, ...source }) => source);
  await world.store.points.add({ ...point, id: "rp_frozen", frozen });
  return frozen.from;
}

test("a recovery that is to be proved tells its workflow from when on changes count, and for how long to read", async () => {
  const frozenFrom = await provable();
  const { body } = await start({ pointId: "rp_frozen", proveSeconds: 90 });
  expect(world.workflow.executions.get(String(body.id))?.input).toMatchObject({
    prove: { frozenFrom, budgetSeconds: 90 },
  });
});

test("a proof needs a source that is connected, a point of one instant, and a test network", async () => {
  await provable();
  const cards = [{ link: { kind: "bridge", bridge: "br0" } }];
  const production = { network: "production", othersOff: true, machine: { hypervisor: "libvirt", cards } };
  const prove = { pointId: "rp_frozen", proveSeconds: 90 };
  expect((await start({ ...prove, ...production })).status).toBe(400);
  expect(await start({ ...prove, pointId: "rp_1" })).toMatchObject({
    ...{ status: 409, body: { detail: expect.stringContaining("not frozen") } },
  });
  await world.store.agents.modify("agt_source", (source) => ({
    ...source,
    presence: { ...source.presence, state: "disconnected" as const },
  }));
  expect(await start(prove)).toMatchObject({
    ...{ status: 409, body: { detail: expect.stringContaining("not connected") } },
  });
});

const compared = { equal: 2, bytes: 20, moved: 0, different: 0, differences: [], unopened: [], seconds: 1 };
const hashed = {
  ...{ list: "a".repeat(64), files: 2, bytes: 20, found: 3, foundAll: true, changed: 1, unreadable: 0 },
  ...{ leftOut: [], seconds: 1 },
};
const proving = (ownerId: string, facts: object) =>
  recordProof(ProofInput.parse({ ownerId, pointId: "rp_1", ...facts }), world);

test("what a proof found is with the recovery and its point; the first one stays, and a later recovery's counts", async () => {
  const id = await started();
  expect(await proving(id, { hashed, compared })).toEqual({ outcome: "equal" });
  expect(await proving(id, { failure: silence })).toEqual({ outcome: "equal" });
  expect((await call("GET /recoveries/{id}", id)).body.proof).toMatchObject({ outcome: "equal", compared });
  expect(await world.store.points.get("rp_1")).toMatchObject({
    proved: { ownerId: id, outcome: "equal", files: 2 },
  });
  expect((await world.audited()).filter((line) => line.includes("copy-proved"))).toEqual([
    `causeway copy-proved ${id} done`,
  ]);
});

test("a difference is stored before it ends the recovery, time after time", async () => {
  const id = await started();
  const differences = [{ fileSystem: "aa", path: "/etc/hosts", what: "size" }];
  const facts = { hashed, compared: { ...compared, equal: 1, different: 1, differences } };
  for (let time = 0; time < 2; time++)
    await expect(proving(id, facts)).rejects.toMatchObject({ name: "CopyDiffersError" });
  expect((await recovery(id)).proof).toMatchObject({ outcome: "different" });
});

test("the proof of a recovery that was cancelled is not stored", async () => {
  const id = await started();
  await world.store.recoveries.modify(id, (one) => ({ ...one, state: "cancelling" }));
  await expect(proving(id, { hashed, compared })).rejects.toMatchObject({ name: "RecoveryCancelledError" });
  expect((await world.store.points.get("rp_1")).proved).toBeUndefined();
});
