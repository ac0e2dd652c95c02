/** What answers over the network is asked on the test network, too. */
import { beforeEach, expect, test } from "vitest";
import { aDisk, anInventory } from "#shared/domain/testing/records.ts";
import { restartable } from "#shared/domain/testing/restartable-source.ts";
import * as recoveries from "../api/recoveries.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { request, World } from "../testing/world.ts";

const CHECK = { kind: "tcp", host: "192.0.2.10", port: 22 };
const { handler: _, ...operations } = recoveries;
let world: World;

beforeEach(async () => {
  world = await World.start();
  const { network } = restartable;
  const inventory = anInventory({ hostname: "pine", disks: [aDisk("vda")], network });
  await world.enrolled({ source: { inventory } });
  await world.store.points.add({
    ...{ id: "rp_1", sourceId: "agt_source", createdAt: "2029-12-31T23:00:00.000Z" },
    disks: [{ name: "vda", sizeBytes: 64, badRanges: 0, consistency: "crash", wholeCopies: [] }],
  });
});

function start(change: object) {
  const handler = apiHandler({ name: "api/recoveries", build: () => world, operations }, world.runtime);
  const body = { targetId: "agt_target", network: "test", machine: { hypervisor: "libvirt" }, ...change };
  return request(handler, "POST /sources/{id}/recoveries", { id: "agt_source" }, { body });
}

async function plannedBy(change: object) {
  const { body } = await start(change);
  return (await world.store.recoveries.get(String(body.id))).planned;
}

test("a machine on the test network is asked in the place of its gateway, if it is asked over the network at all", async () => {
  const network = { gateway: "192.0.2.1", prefixLength: 24, addresses: ["192.0.2.10"] };
  expect((await plannedBy({ check: CHECK })).isolatedNetworks).toEqual([network]);
  expect(await plannedBy({})).not.toHaveProperty("isolatedNetworks");
});

test.each([
  [
    "another machine's address",
    { check: { ...CHECK, host: "203.0.113.9" } },
    "203.0.113.9:22 cannot be asked",
  ],
  [
    "one of several that is another machine's",
    { check: { kind: "all", checks: [CHECK, { ...CHECK, host: "203.0.113.9" }] } },
    "203.0.113.9:22 cannot be asked",
  ],
  [
    "a machine that QEMU alone isolates",
    { check: CHECK, machine: { hypervisor: "qemu", cards: [] } },
    "connects an isolated card to nothing",
  ],
])("%s is refused, because it could never answer there", async (_, change, why) => {
  expect(await start(change)).toMatchObject({
    ...{ status: 400, body: { fields: [{ path: "check", message: expect.stringContaining(why) }] } },
  });
});

test.each([
  ["is older", {}],
  ["lacks a tool", { isolatedChecks: { problem: "ip is not installed" } }],
])("a target host whose agent %s makes no machine that it could not ask", async (_, inventory) => {
  await world.store.agents.modify("agt_target", (one) => ({ ...one, inventory: anInventory(inventory) }));
  expect(await start({ check: CHECK })).toMatchObject({
    ...{ status: 409, body: { name: "IsolatedCheckUnavailableError" } },
  });
});
