import { beforeEach, expect, test } from "vitest";
import { succeeded } from "#shared/domain/command.ts";
import { anInventory } from "#shared/domain/testing/records.ts";
import type { WorkflowError } from "#shared/domain/workflow-failure.ts";
import { failureOf, VerificationFailedError } from "#shared/errors.ts";
import type { BootCheck } from "#shared/protocol/drill.ts";
import * as drills from "../api/drills.ts";
import { getRecoveryPoint } from "../api/recovery-points.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { run as abandonDrill } from "../tasks/abandon-drill.ts";
import { run as dispatchCommand, Input } from "../tasks/dispatch-command.ts";
import { run as endDrill } from "../tasks/finish-drill.ts";
import { run as recordVerdict } from "../tasks/record-verdict.ts";
import { interruptNthCall } from "../testing/interrupt-save.ts";
import { request, type TestRequest, World } from "../testing/world.ts";

let world: World;
const { handler: _, ...operations } = drills;
const call = (routeKey: string, id?: string, options: TestRequest = {}) => {
  const handler = apiHandler({ name: "api/drills", build: () => world, operations }, world.runtime);
  return request(handler, routeKey, id === undefined ? {} : { id }, options);
};
const start = (headers: Record<string, string> = {}, pointId = "rp_1") =>
  call("POST /recovery-points/{id}/drills", pointId, { body: { targetId: "agt_target" }, headers });
const started = async () => String((await start()).body.id);
const drill = (id: string) => world.store.drills.get(id);
const bootTest = async () => (await getRecoveryPoint({ path: { id: "rp_1" } } as never, world)).bootTested;

const point = {
  ...{ id: "rp_1", sourceId: "agt_source", conversionId: "cnv_1", createdAt: "2030-01-01T00:00:00.000Z" },
  disks: [{ name: "vda", sizeBytes: 64, badRanges: 0, consistency: "crash" as const, wholeCopies: [] }],
};
/** The boot check has a verdict, and the clone was removed. */
async function finishDrill(verdict: { drillId: string; bootCheck: BootCheck }, deps: World): Promise<void> {
  await recordVerdict(verdict, deps);
  deps.nowMs += 1;
  await endDrill({ drillId: verdict.drillId }, deps);
}
const booted: BootCheck = { verdict: "booted", reason: "login prompt", seconds: 20, consoleLogKey: "a/b" };
const failure: WorkflowError = {
  Error: "VerificationFailedError",
  Cause: JSON.stringify(failureOf(new VerificationFailedError("one block differs"))),
};

beforeEach(async () => {
  world = await World.start();
  await world.enrolled();
  await world.store.points.add(point);
});

/** The workflow asks the target host for a command. Returns the command's id. */
async function dispatched(
  ownerId: string,
  kind: "materialise" | "adapt-machine" | "release",
): Promise<string> {
  const inputs = {
    materialise: {
      ...{ ownerId, sourceId: "agt_source", pointId: "rp_1", format: "qcow2" },
      disks: [{ name: "vda", sizeBytes: 64 }],
    },
    "adapt-machine": {
      ...{ ownerId, sourceId: "agt_source", pointId: "rp_1", dryRun: false },
      disks: [{ name: "vda", path: "/images/vda", format: "qcow2", sizeBytes: 64 }],
      ...(await drill(ownerId)).adaptation,
    },
    release: { ownerId },
  };
  world.steps.waiting.add(kind);
  const wanted = { ownerId, agentId: "agt_target", kind, input: inputs[kind], taskToken: kind };
  return (await dispatchCommand(Input.parse(wanted), world)).commandId ?? "";
}

const toTarget = () => world.agents.messagesFor("agt_target");

test("a drill starts its workflow with the disks and the hardware of its point, and leaves the source free", async () => {
  const { status, body } = await start();
  expect(status).toBe(202);
  expect(body).toMatchObject({ pointId: "rp_1", targetId: "agt_target", state: "running" });
  const id = String(body.id);
  expect(world.workflow.executions.get(id)?.input).toEqual({
    ...{ drillId: id, pointId: "rp_1", sourceId: "agt_source", targetId: "agt_target", firmware: "bios" },
    disks: [{ name: "vda", sizeBytes: 64 }],
    bootCheck: {
      enabled: true,
      mustBoot: false,
      memoryMiB: expect.any(Number),
      timeoutSeconds: 600,
      systemDisks: [],
    },
  });
  expect((await world.store.agents.get("agt_source")).heldBy).toBeUndefined();
  expect((await call("GET /drills")).body.items).toMatchObject([{ id }]);
  expect(await world.audited()).toEqual([`ada drill-started ${id} done`]);
});

test("a clone is adapted to the boot check's machine, and the drill shows what was changed", async () => {
  const { body } = await call("POST /recovery-points/{id}/drills", "rp_1", {
    body: { targetId: "agt_target", adapt: true },
  });
  const id = String(body.id);
  expect(world.workflow.executions.get(id)?.input).toMatchObject({
    adaptation: {
      sourceDisks: [{ name: "vda" }],
      wanted: { diskBus: "sata", firmware: "bios", cards: [], machineId: "kept", purpose: "drill" },
    },
  });
  const command = await dispatched(id, "adapt-machine");
  expect((await call("GET /drills/{id}", id)).body).not.toHaveProperty("adaptation");
  const adaptation = {
    changes: [{ path: "/etc/fstab", why: ["names"], diff: "-a\n+b" }],
    ...{ commands: [], notes: [], isApplied: true, stale: [], computeSeconds: 60, applySeconds: 20 },
  };
  await world.store.commands.modify(command, (one) => succeeded(one, adaptation, "2030-01-01T00:00:05.000Z"));
  expect((await call("GET /drills/{id}", id)).body).toMatchObject({ id, adaptation });
  expect((await call("GET /drills")).body.items).toEqual([
    expect.not.objectContaining({ adaptation: expect.anything() }),
  ]);
});

test("a drill has no verdict that its point lacks, also if the workflow gives it up in between", async () => {
  const id = await started();
  interruptNthCall(world.store.points, "noteBootTest", 1);
  await expect(recordVerdict({ drillId: id, bootCheck: booted }, world)).rejects.toThrow("killed");
  expect(await bootTest()).toBeUndefined();
  await abandonDrill({ drillId: id, error: failure }, world);
  expect(await drill(id)).toMatchObject({ state: "failed" });
  expect((await drill(id)).result).toBeUndefined();
});

test("the same request with the same key starts one drill, also after an interruption", async () => {
  const key = { "idempotency-key": "k" };
  world.outage.strike("start");
  expect((await start(key)).status).toBe(500);
  const again = await start(key);
  expect(again.status).toBe(202);
  expect((await call("GET /drills")).body.items).toMatchObject([{ id: again.body.id }]);
  expect([...world.workflow.executions.keys()]).toEqual([again.body.id]);
});

test("the same key for another point is refused", async () => {
  await world.store.points.add({ ...point, id: "rp_2" });
  const key = { "idempotency-key": "k" };
  await start(key);
  expect((await start(key, "rp_2")).status).toBe(400);
});

test.each<[string, number, () => Promise<unknown>]>([
  ["a point that was pruned", 409, () => world.store.points.prune("rp_1", "2030-01-02T00:00:00.000Z")],
  [
    "a source whose inventory has none of the point's disks",
    409,
    () =>
      world.store.agents.modify("agt_source", (one) => ({ ...one, inventory: anInventory({ disks: [] }) })),
  ],
  [
    "a revoked target host",
    403,
    () =>
      world.store.agents.modify("agt_target", (one) => ({ ...one, revokedAt: "2030-01-01T00:00:00.000Z" })),
  ],
])("%s is refused, and nothing begins", async (_, status, prepare) => {
  await prepare();
  expect((await start()).status).toBe(status);
  expect((await call("GET /drills")).body.items).toEqual([]);
  expect(world.workflow.executions.size).toBe(0);
});

test("an unknown point, a point of an unknown source and a source as the target host are not found", async () => {
  await world.store.points.add({ ...point, id: "rp_lost", sourceId: "agt_lost" });
  expect((await start({}, "rp_none")).status).toBe(404);
  expect((await start({}, "rp_lost")).status).toBe(404);
  const body = { targetId: "agt_source" };
  expect((await call("POST /recovery-points/{id}/drills", "rp_1", { body })).status).toBe(404);
});

test.each(["booted", "not-booted", "unknown"] as const)(
  "the verdict %s is on the drill with its evidence, and on the point",
  async (verdict) => {
    const id = await started();
    world.nowMs += 60_000;
    const bootCheck = { ...booted, verdict };
    await finishDrill({ drillId: id, bootCheck }, world);
    await finishDrill({ drillId: id, bootCheck }, world);
    expect((await call("GET /drills/{id}", id)).body).toMatchObject({
      state: "completed",
      result: bootCheck,
    });
    expect(await bootTest()).toEqual({ drillId: id, verdict, at: "2030-01-01T00:01:00.000Z" });
    expect(await world.audited()).toEqual([
      `ada drill-started ${id} done`,
      `causeway drill-judged ${id} done`,
      `causeway drill-completed ${id} done`,
    ]);
  },
);

test("a point has the verdict of the drill that ended last, also if an earlier one is recorded again", async () => {
  const [first, second] = [await started(), await started()];
  await finishDrill({ drillId: first, bootCheck: booted }, world);
  world.nowMs += 1000;
  await finishDrill({ drillId: second, bootCheck: { ...booted, verdict: "not-booted" } }, world);
  await finishDrill({ drillId: first, bootCheck: booted }, world);
  expect(await bootTest()).toMatchObject({ drillId: second, verdict: "not-booted" });
});

test("a failed drill has the failure's own name, its clone is removed, and the point's record stays", async () => {
  const id = await started();
  const command = await dispatched(id, "materialise");
  await abandonDrill({ drillId: id, error: failure }, world);
  await abandonDrill({ drillId: id, error: failure }, world);
  expect(await drill(id)).toMatchObject({ state: "failed", failure: { name: "VerificationFailedError" } });
  expect(toTarget()).toEqual([`command ${command}`, `cancel ${command}`, `command ${id}.release.1`]);
  expect(await bootTest()).toBeUndefined();
  expect((await world.audited()).at(-1)).toBe(`causeway drill-failed ${id} done`);
});

test("a verdict stays although the clone cannot be removed, which is a failure of its own", async () => {
  const id = await started();
  await dispatched(id, "materialise");
  await recordVerdict({ drillId: id, bootCheck: booted }, world);
  expect(await drill(id)).toMatchObject({ state: "running", result: { verdict: "booted" } });
  world.nowMs += 1;
  for (let times = 0; times < 2; times++) await abandonDrill({ drillId: id, error: failure }, world);
  expect((await call("GET /drills/{id}", id)).body).toMatchObject({
    ...{ state: "completed", result: booted, cleanUpFailure: { name: "VerificationFailedError" } },
  });
  expect((await drill(id)).failure).toBeUndefined();
  expect(await bootTest()).toMatchObject({ drillId: id, verdict: "booted" });
  // The target host gets the command once more.
  expect(toTarget().at(-1)).toBe(`command ${id}.release.1`);
  expect((await world.audited()).at(-1)).toBe(`causeway drill-clean-up-failed ${id} done`);
});

test("a drill that is cancelled after its verdict keeps it", async () => {
  const id = await started();
  await recordVerdict({ drillId: id, bootCheck: booted }, world);
  await call("POST /drills/{id}/cancel", id);
  await abandonDrill({ drillId: id, error: { Error: "DrillCancelledError", Cause: "" } }, world);
  expect(await drill(id)).toMatchObject({ state: "cancelled", result: { verdict: "booted" } });
  expect(await bootTest()).toMatchObject({ drillId: id, verdict: "booted" });
});

test("a drill without a verdict cannot be completed", async () => {
  const id = await started();
  await expect(endDrill({ drillId: id }, world)).rejects.toThrow("has no verdict");
});

test("an interruption while a drill is abandoned loses nothing", async () => {
  const id = await started();
  const command = await dispatched(id, "materialise");
  world.outage.strike("fail");
  await expect(abandonDrill({ drillId: id, error: failure }, world)).rejects.toThrow("outage");
  expect((await drill(id)).state).toBe("running");
  await abandonDrill({ drillId: id, error: failure }, world);
  expect((await drill(id)).state).toBe("failed");
  expect(toTarget()).toEqual([`command ${command}`, `cancel ${command}`, `command ${id}.release.1`]);
});

test("a target host that never got a command has nothing to remove", async () => {
  const id = await started();
  await abandonDrill({ drillId: id, error: failure }, world);
  expect(toTarget()).toEqual([]);
});

test("a cancelled drill ends what the target host does, and the workflow removes the clone", async () => {
  const id = await started();
  const command = await dispatched(id, "materialise");
  expect((await call("POST /drills/{id}/cancel", id)).body).toMatchObject({ id, state: "cancelling" });
  expect(world.steps.outcomes.get("materialise")).toMatchObject({ failure: { name: "DrillCancelledError" } });
  await expect(dispatched(id, "release")).rejects.toMatchObject({ name: "DrillCancelledError" });
  await expect(finishDrill({ drillId: id, bootCheck: booted }, world)).rejects.toMatchObject({
    name: "DrillCancelledError",
  });
  await abandonDrill({ drillId: id, error: { Error: "DrillCancelledError", Cause: "" } }, world);
  expect((await drill(id)).state).toBe("cancelled");
  expect((await drill(id)).failure).toBeUndefined();
  expect(toTarget()).toEqual([`command ${command}`, `cancel ${command}`, `command ${id}.release.1`]);
  expect((await call("POST /drills/{id}/cancel", id)).body).toMatchObject({ state: "cancelled" });
});

test("a drill that is cancelled while its clone is being removed still removes it", async () => {
  const id = await started();
  const command = await dispatched(id, "release");
  await call("POST /drills/{id}/cancel", id);
  expect(world.steps.outcomes.get("release")).toMatchObject({ failure: { name: "DrillCancelledError" } });
  await abandonDrill({ drillId: id, error: { Error: "DrillCancelledError", Cause: "" } }, world);
  expect(toTarget()).toEqual([`command ${command}`, `command ${command}`]);
  expect((await world.store.commands.find(command))?.state).toBe("pending");
  expect((await drill(id)).state).toBe("cancelled");
});

test("cancelling ends a drill whose workflow was stopped from outside", async () => {
  const id = await started();
  await dispatched(id, "materialise");
  await world.workflow.stop(id);
  expect((await call("POST /drills/{id}/cancel", id)).body).toMatchObject({ state: "cancelled" });
  expect(toTarget().at(-1)).toBe(`command ${id}.release.1`);
});

test("a drill that has completed cannot be cancelled", async () => {
  const id = await started();
  await finishDrill({ drillId: id, bootCheck: booted }, world);
  expect((await call("POST /drills/{id}/cancel", id)).status).toBe(409);
});
