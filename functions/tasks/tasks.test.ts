import { beforeEach, expect, test } from "vitest";
import { aBootImage, aConversion, anInventory, aReach } from "#shared/domain/testing/records.ts";
import {
  ConversionCancelledError,
  DiskNotFoundError,
  failureOf,
  PreflightFailedError,
  WrongStateError,
} from "#shared/errors.ts";
import { dispatch } from "../conversion/dispatch.ts";
import { World } from "../testing/world.ts";
import * as abandonConversion from "./abandon-conversion.ts";
import * as checkPreflight from "./check-preflight.ts";
import * as completeConversion from "./complete-conversion.ts";
import * as recordRecoveryPoint from "./record-recovery-point.ts";

const conversionId = "cnv_1";
const capture = {
  ...{ name: "vda", sizeBytes: 64 },
  bytesRead: 64,
  bytesStored: 32,
  badRanges: 1,
  consistency: "file-system" as const,
  wholeCopies: [{ place: "partition 2", reason: "it is doubtful" }],
  seconds: 3,
  bottleneck: "compress" as const,
};
const result = {
  conversionId,
  disks: [capture, { ...capture, seconds: 9, bottleneck: "upload" as const }],
  freeze: { freezeMilliseconds: 7 },
  materialised: { disks: [], bytesWritten: 64, seconds: 1 },
  verified: { bytesVerified: 64, seconds: 1 },
};
let world: World;

beforeEach(async () => {
  world = await World.start();
  await world.enrolled({ source: { heldBy: conversionId } });
  await world.store.conversions.add(aConversion());
});

const conversion = () => world.store.conversions.get(conversionId);
const holder = async () => (await world.store.agents.get("agt_source")).heldBy;
const abandon = (error: { Error: string; Cause: string }) =>
  abandonConversion.run({ conversionId, error }, world);

async function dispatched(taskToken = "token"): Promise<string> {
  world.steps.waiting.add(taskToken);
  const request = {
    ownerId: conversionId,
    agentId: "agt_source",
    kind: "capture-disk" as const,
    label: "vda",
    round: 1,
  };
  return String((await dispatch({ ...request, input: {}, taskToken }, world)).commandId);
}

test("a repeated preflight passes once", async () => {
  expect(await checkPreflight.run({ conversionId }, world)).toEqual({ warnings: [] });
  const passed = await conversion();
  world.nowMs += 1000;
  await checkPreflight.run({ conversionId }, world);
  expect(await conversion()).toEqual(passed);
});

test("preflight fails with every rule that does not hold and its remedy", async () => {
  const presence = { state: "disconnected" as const, at: 0 };
  await world.store.agents.modify("agt_target", (agent) => ({ ...agent, presence }));
  const error = await checkPreflight.run({ conversionId }, world).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(PreflightFailedError);
  expect(failureOf(error)).toMatchObject({ details: { rules: [{ id: "target-connected" }] } });
});

test("a rule that fails and was accepted passes, and who accepted it is audited once, with what was found", async () => {
  const arming = [
    {
      ...{ adapter: "grub", possible: true, form: "kernel-and-initrd" as const },
      ...{ folder: "/boot/causeway", freeBytes: 1e9 },
    },
  ];
  const port = {
    ...{ name: "eth0", macAddress: "52:54:00:12:34:56", kind: "ethernet" as const, state: "up" as const },
    ...{ mtuBytes: 1500, driver: "virtio_net" },
    addresses: [{ family: "ipv4" as const, address: "192.0.2.10", prefixLength: 24, dynamic: false }],
    configuration: { source: "ifupdown" as const, method: "static" as const },
  };
  const routes = [{ destination: "default", gateway: "192.0.2.1", device: "eth0" }];
  const unattended = { verdict: "unattended" as const };
  const inventory = anInventory({
    bootLoader: { kind: "grub", entries: [], arming },
    network: { interfaces: [port], routes, dns: { servers: [], search: [] }, reach: aReach() },
    return: {
      bootLoader: { verdict: "attended", reason: "the menu waits" },
      ...{ nextStart: unattended, volumes: unattended, triedBefore: [] },
    },
  });
  await world.store.bootImages.add(aBootImage());
  await world.store.agents.modify("agt_source", (agent) => ({ ...agent, inventory }));
  const change = { type: "remote-cold" as const, bootImageId: aBootImage().id };
  await world.store.conversions.modify(conversionId, (current) => ({ ...current, ...change }));
  await expect(checkPreflight.run({ conversionId }, world)).rejects.toMatchObject({
    details: { rules: [{ id: "starts-unattended" }] },
  });
  expect(await world.audited()).toEqual([]);

  const accept = ["starts-unattended" as const];
  await world.store.conversions.modify(conversionId, (current) => ({ ...current, accept }));
  for (let times = 0; times < 2; times++) await checkPreflight.run({ conversionId }, world);
  expect(await world.audited()).toEqual(["ada rules-accepted cnv_1 done"]);
  const [entry] = (await world.store.audit.page({ limit: 1 })).items;
  expect(entry?.details).toEqual({ rules: [{ rule: "starts-unattended", message: "the menu waits" }] });
});

test("preflight notices that the operator cancelled before anything began", async () => {
  await world.store.conversions.modify(conversionId, (current) => ({ ...current, state: "cancelling" }));
  await expect(checkPreflight.run({ conversionId }, world)).rejects.toThrow(ConversionCancelledError);
});

test("a recovery point is recorded once, with its bad ranges, and dated by the control plane", async () => {
  const recordedAt = new Date(world.nowMs).toISOString();
  await recordRecoveryPoint.run({ ownerId: conversionId, disks: [capture] }, world);
  world.nowMs += 1000;
  await recordRecoveryPoint.run({ ownerId: conversionId, disks: [capture] }, world);
  const { items } = await world.store.points.page("agt_source", { limit: 10 });
  expect(items).toEqual([
    {
      id: "rp_1",
      sourceId: "agt_source",
      conversionId,
      bytesStored: 32,
      createdAt: recordedAt,
      disks: [
        {
          ...{ name: "vda", sizeBytes: 64 },
          badRanges: 1,
          consistency: "file-system",
          wholeCopies: [{ place: "partition 2", reason: "it is doubtful" }],
        },
      ],
    },
  ]);
  expect((await conversion()).recoveryPointId).toBe("rp_1");
  expect(await world.audited()).toEqual(["agt_source recovery-point-created rp_1 done"]);
});

test("completion sums up the disks, names the bottleneck of the slowest, and frees the source", async () => {
  await completeConversion.run(result, world);
  const ended = await conversion();
  expect(ended).toMatchObject({
    state: "completed",
    result: {
      bytesRead: 128,
      bytesStored: 64,
      badRanges: 2,
      bytesVerified: 64,
      limitingStage: "upload",
      freezeMilliseconds: 7,
      bootDisk: "vda",
    },
  });
  expect(ended.steps?.every((step) => step.state === "done")).toBe(true);
  expect(await holder()).toBeUndefined();
  world.nowMs += 1000;
  await completeConversion.run(result, world);
  expect(await conversion()).toEqual(ended);
  expect(await world.audited()).toEqual(["causeway conversion-completed cnv_1 done"]);
});

test("completion does not overtake a cancellation", async () => {
  await world.store.conversions.modify(conversionId, (current) => ({ ...current, state: "cancelling" }));
  await expect(completeConversion.run(result, world)).rejects.toThrow(ConversionCancelledError);
});

test("abandoning records the failure, stops running commands, and releases what the conversion used", async () => {
  await checkPreflight.run({ conversionId }, world);
  const commandId = await dispatched();
  const failure = failureOf(new DiskNotFoundError("vdz"));
  await abandon({ Error: failure.name, Cause: JSON.stringify(failure) });
  const ended = await conversion();
  expect(ended).toMatchObject({ state: "failed", failure });
  expect(ended.steps?.[1]).toMatchObject({ name: "capture", state: "failed" });
  expect(world.agents.messagesFor("agt_source")).toEqual([
    `command ${commandId}`,
    `cancel ${commandId}`,
    "command cnv_1.release.source.1",
  ]);
  // The target never got a command, so it has nothing to release.
  expect(world.agents.messagesFor("agt_target")).toEqual([]);
  expect(await holder()).toBeUndefined();
  expect(await world.audited()).toEqual(["causeway conversion-failed cnv_1 done"]);
});

test.each(["fail", "send", "sign"])(
  "abandoning that is interrupted at %s is completed by the next attempt",
  async (call) => {
    await dispatched();
    world.outage.strike(call);
    const error = { Error: "States.HeartbeatTimeout", Cause: "" };
    await abandon(error).catch(() => undefined);
    await abandon(error);
    await abandon(error);
    expect(await conversion()).toMatchObject({ state: "failed", failure: { name: "AgentSilentError" } });
    expect(await holder()).toBeUndefined();
    expect(await world.audited()).toHaveLength(1);
  },
);

test("a conversion that the operator cancelled ends as cancelled, whatever error the workflow reports", async () => {
  await world.store.conversions.modify(conversionId, (current) => ({ ...current, state: "cancelling" }));
  await abandon({ Error: "States.TaskFailed", Cause: "" });
  expect((await conversion()).state).toBe("cancelled");
  expect(await world.audited()).toEqual(["causeway conversion-cancelled cnv_1 done"]);
});

test("abandoning a completed conversion leaves it completed", async () => {
  await completeConversion.run(result, world);
  const failure = failureOf(new DiskNotFoundError("vdz"));
  const told = await abandon({ Error: failure.name, Cause: JSON.stringify(failure) });
  // The workflow ends with that failure all the same.
  expect(told).toEqual({ state: "completed", failure });
  expect(world.agents.sent).toEqual([]);
});

test("a failed conversion is not completed afterwards", async () => {
  await abandon({ Error: "States.TaskFailed", Cause: "" });
  await expect(completeConversion.run(result, world)).rejects.toThrow(WrongStateError);
});
