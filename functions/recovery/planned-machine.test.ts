/** What the machine of a recovery is to be like, and what it is made of. */
import { beforeEach, expect, test } from "vitest";
import { newPlan } from "#shared/domain/protection/plan.ts";
import { aDisk, anInventory } from "#shared/domain/testing/records.ts";
import { restartable } from "#shared/domain/testing/restartable-source.ts";
import { NewPlan } from "#shared/protocol/protection.ts";
import * as recoveries from "../api/recoveries.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { request, World } from "../testing/world.ts";

let world: World;
const { handler: _, ...operations } = recoveries;
const ordered = { targetId: "agt_target", network: "test", machine: { hypervisor: "libvirt" } };
const start = (change: object = {}) => {
  const handler = apiHandler({ name: "api/recoveries", build: () => world, operations }, world.runtime);
  const body = { ...ordered, ...change };
  return request(handler, "POST /sources/{id}/recoveries", { id: "agt_source" }, { body });
};
const inputOf = async (change: object = {}) =>
  world.workflow.executions.get(String((await start(change)).body.id))?.input;

beforeEach(async () => {
  world = await World.start();
  const inventory = anInventory({ hostname: "pine", disks: [aDisk("vda")] });
  await world.enrolled({ source: { inventory } });
  const disk = {
    name: "vda",
    sizeBytes: 64,
    badRanges: 0,
    consistency: "crash" as const,
    wholeCopies: [],
  };
  const createdAt = "2029-12-31T23:00:00.000Z";
  await world.store.points.add({ id: "rp_1", sourceId: "agt_source", createdAt, disks: [disk] });
});

/** On the target host, at the point. */
async function addStandby(): Promise<void> {
  const request = NewPlan.parse({ sourceId: "agt_source", intervalSeconds: 3600 });
  const plan = newPlan(request, { id: "plan_1", requestedBy: "ada", now: 0 });
  await world.store.agents.modify("agt_source", (one) => ({ ...one, planId: "plan_1" }));
  await world.store.plans.add({ ...plan, standbyTargetId: "agt_target", standbyPointId: "rp_1" });
}

test("the plan's standby is cloned only if it is on this target host, and at this point", async () => {
  await addStandby();
  expect(await inputOf()).toMatchObject({ standbyPlanId: "plan_1" });
  await world.store.plans.modify("plan_1", (one) => ({ ...one, standbyPointId: "rp_0" }));
  expect(await inputOf()).not.toHaveProperty("standbyPlanId");
});

test("disks that are to be qcow2 are not cloned from the standby, which is raw", async () => {
  await addStandby();
  const qcow2 = await inputOf({ format: "qcow2" });
  expect(qcow2).toMatchObject({ format: "qcow2" });
  expect(qcow2).not.toHaveProperty("standbyPlanId");
  expect(await inputOf({ format: "raw" })).toMatchObject({ format: "raw", standbyPlanId: "plan_1" });
});

test("a system is adapted only if asked, for a drill on the test network, with the machine's own hardware", async () => {
  expect(await inputOf()).not.toHaveProperty("adaptation");
  expect(await inputOf({ adapt: true, machine: { hypervisor: "libvirt", diskBus: "virtio" } })).toMatchObject(
    {
      adaptation: {
        sourceDisks: [{ name: "vda" }],
        wanted: {
          diskBus: "virtio",
          firmware: "bios",
          purpose: "drill",
          machineId: "kept",
          hostKeys: "kept",
        },
      },
    },
  );
});

test("an adapted system gets the new address that was asked for, and is asked there by its new gateway", async () => {
  await world.store.agents.modify("agt_source", (one) => ({
    ...one,
    inventory: one.inventory && { ...one.inventory, network: restartable.network },
  }));
  const address = { interface: "eth0", address: "198.51.100.20", prefixLength: 24, gateway: "198.51.100.1" };
  const asked = { adapt: true, addresses: [address] };
  const check = { kind: "tcp", host: "198.51.100.20", port: 22 };
  const { body } = await start({ ...asked, check });
  const shown = [{ ...address, nameServers: [], instead: { address: "192.0.2.10", prefixLength: 24 } }];
  expect(body).toMatchObject({ addresses: shown });
  expect(world.workflow.executions.get(String(body.id))?.input).toMatchObject({
    adaptation: { wanted: { addresses: shown } },
    planned: {
      isolatedNetworks: [{ gateway: "198.51.100.1", prefixLength: 24, addresses: ["198.51.100.20"] }],
      formerAddresses: ["192.0.2.10"],
    },
  });
  expect((await start({ ...asked, check: { ...check, host: "192.0.2.10" } })).status).toBe(400);
  expect((await start({ addresses: [address] })).status).toBe(400);
});

test("an adapted system gets the new identity that was asked for, and the recovery shows it", async () => {
  const { body } = await start({ adapt: true, hostKeys: "new" });
  expect(body).toMatchObject({ identity: { machineId: "kept", hostKeys: "new" } });
  expect(world.workflow.executions.get(String(body.id))?.input).toMatchObject({
    adaptation: { wanted: { machineId: "kept", hostKeys: "new" } },
  });
  expect((await start()).body).not.toHaveProperty("identity");
});
