import { expect, test } from "vitest";
import { plan } from "#shared/domain/command.ts";
import { completed } from "#shared/domain/conversion.ts";
import { aBootImage } from "#shared/domain/testing/records.ts";
import { Conversion, StepName } from "#shared/protocol/resources.ts";
import { timestamp } from "../conversion/deps.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { aDevice, aReceipt } from "../testing/device.ts";
import { request, type TestRequest, World } from "../testing/world.ts";
import * as conversions from "./conversions.ts";

const wanted = { type: "hot", sourceId: "agt_source", targetId: "agt_target" };

async function start() {
  const world = await World.start();
  await world.enrolled();
  const { handler: _, ...operations } = conversions;
  const handler = apiHandler({ name: "api/conversions", build: () => world, operations }, world.runtime);
  const call = (route: string, id?: string, options: TestRequest = {}) =>
    request(handler, route, id ? { id } : {}, options);
  const convert = (body: object = {}, headers: Record<string, string> = {}) =>
    call("POST /conversions", undefined, { body: { ...wanted, ...body }, headers });
  const cancel = (id: string) => call("POST /conversions/{id}/cancel", id);
  const holder = async () => (await world.store.agents.get("agt_source")).heldBy;
  return { world, call, convert, cancel, holder };
}

/** A command that an agent has not finished. */
async function dispatched(world: World, conversionId: string): Promise<string> {
  const { command } = plan(
    {
      ownerId: conversionId,
      agentId: "agt_source",
      kind: "capture-disk",
      label: "vda",
      round: 1,
      input: {},
      requestedBy: "ada",
      taskToken: "token",
    },
    [],
    timestamp(world.clock),
  );
  world.steps.waiting.add("token");
  return (await world.store.commands.save(command)).id;
}

test("a source in whose place a machine runs is not converted, because its copy would be fenced", async () => {
  const { world, convert, holder } = await start();
  const lease = { ownerId: "rcv_1", targetId: "agt_target", term: 1, state: "permanent" as const };
  await world.store.leases.save({ id: "agt_source", ...lease, version: 0 });
  expect(await convert()).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining("rcv_1"), hint: expect.stringContaining("Convert that machine") },
  });
  expect(await holder()).toBeUndefined();
});

test("starting a conversion holds the source and starts the workflow with the whole input", async () => {
  const { world, convert, holder } = await start();
  const { status, body } = await convert({ bootCheck: true, bandwidthLimitBytesPerSecond: 1000 });
  expect(status).toBe(202);
  expect(body).toMatchObject({
    state: "running",
    requestedBy: "ada",
    steps: [{ name: "preflight", state: "running" }, {}, {}, {}, {}, {}],
  });
  const id = String(body.id);
  expect(await holder()).toBe(id);
  expect(world.workflow.executions.get(id)?.input).toEqual({
    conversionId: id,
    capture: "hot-capture",
    sourceId: "agt_source",
    targetId: "agt_target",
    format: "qcow2",
    disks: ["vda"],
    bootCheck: { enabled: true, timeoutSeconds: 600, memoryMiB: 2048, systemDisks: [] },
    firmware: "bios",
    pointId: expect.stringMatching(/^rp_/),
    allBlocks: false,
    allowInconsistent: false,
    bandwidthLimitBytesPerSecond: 1000,
  });
  expect(await world.audited()).toEqual([`ada conversion-started ${id} done`]);
});

test("a remote cold conversion has its own capture, with the newest boot image and the start time", async () => {
  const { world, convert } = await start();
  await world.store.bootImages.add(aBootImage());
  const startAt = "2030-01-02T02:30:00.000Z";
  const { status, body } = await convert({ type: "remote-cold", startAt, deadlineSeconds: 900 });
  expect(status).toBe(202);
  expect(body).toMatchObject({
    type: "remote-cold",
    startAt,
    deadlineSeconds: 900,
    bootImageId: aBootImage().id,
    whereabouts: { location: "original", bootState: "untouched" },
  });
  expect((body.steps as { name: string }[]).map(({ name }) => name)).toEqual(StepName.options);
  expect(world.workflow.executions.get(String(body.id))?.input).toMatchObject({
    capture: "remote-cold-capture",
    startAt,
    deadlineSeconds: 900,
    requestedBy: "ada",
  });
});

test("rules that the operator accepts are stored with the conversion, sent to the source, and audited", async () => {
  const { world, convert } = await start();
  await world.store.bootImages.add(aBootImage());
  const accept = ["starts-unattended", "opens-unattended"];
  const { status, body } = await convert({ type: "remote-cold", accept });
  expect(status).toBe(202);
  expect(body).toMatchObject({ accept, requestedBy: "ada" });
  expect(world.workflow.executions.get(String(body.id))?.input).toMatchObject({ accept });
  const [entry] = (await world.store.audit.page({ limit: 1 })).items;
  expect(entry).toMatchObject({ actor: "ada", action: "conversion-started", details: { accept } });
});

test.each([
  ["a rule that may not be accepted", ["memory"]],
  ["a rule that does not exist", ["everything"]],
  ["one rule twice", ["starts-unattended", "starts-unattended"]],
])("%s is refused, and nothing is held", async (_, accept) => {
  const { convert, holder } = await start();
  expect((await convert({ type: "remote-cold", accept })).status).toBe(400);
  expect(await holder()).toBeUndefined();
});

test("only a manual cold conversion reads a machine that was started by hand, and it reads no other", async () => {
  const { world, convert, holder } = await start();
  expect(await convert({ type: "manual-cold" })).toMatchObject({
    status: 409,
    body: { name: "WrongStateError", hint: expect.stringContaining("causeway approve CODE") },
  });
  const enrolledFrom = "boot-environment" as const;
  await world.store.agents.modify("agt_source", (source) => ({ ...source, enrolledFrom }));
  for (const type of ["hot", "remote-cold"]) {
    expect(await convert({ type })).toMatchObject({
      status: 409,
      body: { hint: expect.stringContaining("--type manual-cold") },
    });
  }
  expect(await holder()).toBeUndefined();
  const { status, body } = await convert({ type: "manual-cold" });
  expect(status).toBe(202);
  expect((body.steps as { name: string }[]).map(({ name }) => name)).toEqual([
    ...["preflight", "capture", "materialise", "verify", "boot-check", "finish"],
  ]);
  expect(body).not.toHaveProperty("machine");
});

test("a conversion without a receipt says that there is none", async () => {
  const { convert, call } = await start();
  const id = String((await convert()).body.id);
  expect(await call("GET /conversions/{id}/receipt", id)).toMatchObject({ status: 404 });
});

test("a receipt is shown with the agent's certificate", async () => {
  const { world, convert, call } = await start();
  const id = String((await convert({ type: "remote-cold" })).body.id);
  const device = await aDevice();
  const { certificatePem } = device;
  const attested = {
    receipt: aReceipt(device, { conversionId: id }),
    receivedAt: "2030-01-01T00:10:00.000Z",
  };
  await world.store.agents.modify("agt_source", (source) => ({ ...source, certificatePem }));
  await world.store.conversions.modify(id, (conversion) => ({ ...conversion, attested }));
  expect(await call("GET /conversions/{id}/receipt", id)).toMatchObject({
    status: 200,
    body: { conversionId: id, certificatePem, ...attested },
  });
});

test.each([
  ["an unknown source", { sourceId: "agt_nobody" }, 404],
  ["a target as the source", { sourceId: "agt_target" }, 404],
  ["a source as the target", { targetId: "agt_source" }, 404],
  ["no source at all", { sourceId: undefined }, 400],
  ["an unknown type", { type: "lukewarm" }, 400],
  ["a start time for a type that does not restart the source", { startAt: "2030-01-02T02:30:00.000Z" }, 400],
  ["a deadline too short for any machine", { type: "remote-cold", deadlineSeconds: 5 }, 400],
  ["a field that does not exist", { disk: "vda" }, 400],
])("%s is refused and nothing is held", async (_, change, status) => {
  const { convert, holder } = await start();
  expect((await convert(change)).status).toBe(status);
  expect(await holder()).toBeUndefined();
});

test("only one conversion at a time can hold a source", async () => {
  const { convert } = await start();
  const first = await convert();
  const second = await convert();
  expect(second).toMatchObject({ status: 409, body: { name: "WrongStateError" } });
  expect(second.body.detail).toContain(String(first.body.id));
});

test("the same request with the same key starts one conversion", async () => {
  const { convert, world } = await start();
  const headers = { "idempotency-key": "k1" };
  const first = await convert({}, headers);
  world.nowMs += 5000;
  const second = await convert({}, headers);
  expect(second.body).toEqual(first.body);
  expect(world.workflow.executions.size).toBe(1);
  expect(await world.audited()).toHaveLength(1);
  const other = await convert({ format: "raw" }, headers);
  expect(other).toMatchObject({ status: 400, body: { fields: [{ path: "Idempotency-Key" }] } });
});

test("repeating a start whose workflow never began completes it", async () => {
  const { convert, world } = await start();
  world.outage.strike("start");
  expect((await convert({}, { "idempotency-key": "k1" })).status).toBe(500);
  const again = await convert({}, { "idempotency-key": "k1" });
  expect(again.status).toBe(202);
  expect([...world.workflow.executions.keys()]).toEqual([again.body.id]);
});

test("cancelling a conversion whose workflow never began starts the workflow, which sees the cancellation", async () => {
  const { convert, cancel, world, holder } = await start();
  world.outage.strike("start");
  await convert();
  const id = String(await holder());
  expect((await cancel(id)).body.state).toBe("cancelling");
  expect(world.workflow.executions.has(id)).toBe(true);
});

test("a source held by a conversion that was never stored is free again after a while", async () => {
  const { convert, world, holder } = await start();
  const lost = "cnv_01jd3v8q6m0000000000000000";
  world.nowMs = Date.UTC(2024, 10, 24, 0, 0, 0);
  await world.store.agents.modify("agt_source", (source) => ({ ...source, heldBy: lost }));
  world.nowMs += 30 * 86_400_000;
  const { status, body } = await convert();
  expect(status).toBe(202);
  expect(await holder()).toBe(body.id);
});

test("cancelling reaches the waiting workflow and the agent, and may be repeated", async () => {
  const { convert, cancel, world } = await start();
  const id = String((await convert()).body.id);
  const commandId = await dispatched(world, id);
  expect(await cancel(id)).toMatchObject({ status: 202, body: { state: "cancelling" } });
  expect(world.steps.outcomes.get("token")).toMatchObject({ failure: { name: "ConversionCancelledError" } });
  expect((await world.store.commands.find(commandId))?.state).toBe("cancelled");
  expect(world.agents.messagesFor("agt_source")).toEqual([`cancel ${commandId}`]);
  expect((await cancel(id)).status).toBe(202);
});

test("repeating a cancellation that was interrupted before it reached the workflow completes it", async () => {
  const { convert, cancel, world } = await start();
  const id = String((await convert()).body.id);
  await dispatched(world, id);
  world.outage.strike("fail");
  expect((await cancel(id)).status).toBe(500);
  expect((await cancel(id)).status).toBe(202);
  expect(world.steps.outcomes.has("token")).toBe(true);
});

test("cancelling a conversion whose workflow was stopped from outside cleans up", async () => {
  const { convert, cancel, world, holder } = await start();
  const id = String((await convert()).body.id);
  await dispatched(world, id);
  world.workflow.executions.set(id, { input: {}, running: false });
  const { body } = await cancel(id);
  expect(body).toMatchObject({ state: "cancelled", endedAt: timestamp(world.clock) });
  expect(await holder()).toBeUndefined();
  expect(world.agents.messagesFor("agt_source")).toContain(`command ${id}.release.source.1`);
  const audited = await world.audited();
  expect((await cancel(id)).body.state).toBe("cancelled");
  expect(await world.audited()).toEqual(audited);
});

test("an ended conversion cannot be cancelled, and an unknown one is not found", async () => {
  const { convert, cancel, world } = await start();
  const id = String((await convert()).body.id);
  const result = {
    disks: [],
    copies: [],
    bytesRead: 0,
    bytesStored: 0,
    bytesWritten: 0,
    bytesVerified: 0,
    badRanges: 0,
    captureSeconds: 0,
    limitingStage: "read",
  };
  await world.store.conversions.modify(id, (conversion) =>
    completed(conversion, { result, steps: [], now: timestamp(world.clock) }),
  );
  expect(await cancel(id)).toMatchObject({ status: 409, body: { name: "WrongStateError" } });
  expect((await cancel("cnv_nothing")).status).toBe(404);
});

test("conversions are listed with their progress, newest first, and by state", async () => {
  const { convert, call, cancel, world } = await start();
  const first = String((await convert()).body.id);
  await dispatched(world, first);
  world.workflow.executions.set(first, { input: {}, running: false });
  await cancel(first);
  world.nowMs += 1000;
  const second = String((await convert()).body.id);
  await dispatched(world, second);
  const all = (await call("GET /conversions")).body.items as { id: string; steps: { work: unknown[] }[] }[];
  expect(all.map((one) => one.id)).toEqual([second, first]);
  expect(all.map((one) => one.steps[1]?.work.length)).toEqual([1, 1]);
  const running = await call("GET /conversions", undefined, { query: { state: "running" } });
  expect(running.body.items).toMatchObject([{ id: second }]);
  expect((await call("GET /conversions/{id}", second)).body).toMatchObject({ id: second, bootCheck: false });
});

test("a conversion that waits for a disconnected agent says since when", async () => {
  const { world, call, convert } = await start();
  const id = String((await convert()).body.id);
  await dispatched(world, id);
  const presence = async (state: "connected" | "disconnected", at: string) =>
    world.store.agents.modify("agt_source", (agent) => ({
      ...agent,
      presence: { state, sessionId: "s", at: Date.parse(at) },
    }));
  const awaySince = async () => {
    const { body } = await call("GET /conversions/{id}", id);
    return Conversion.parse(body).steps.flatMap(({ work }) => work.map((item) => item.awaySince));
  };
  await presence("disconnected", "2030-01-01T02:30:00.000Z");
  expect(await awaySince()).toEqual(["2030-01-01T02:30:00.000Z"]);
  await presence("connected", "2030-01-01T02:31:00.000Z");
  expect(await awaySince()).toEqual([undefined]);
});
