import { beforeEach, expect, test } from "vitest";
import { failed, succeeded } from "#shared/domain/command.ts";
import { aConversion, aDisk, anInventory } from "#shared/domain/testing/records.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { request, World } from "../testing/world.ts";
import { changeMachine, listMachineOperations } from "./machines.ts";

let world: World;
const call = (route: string, body?: unknown, id = "cnv_1") => {
  const operations = { changeMachine, listMachineOperations };
  const handler = apiHandler({ name: "api/machines", build: () => world, operations }, world.runtime);
  return request(handler, `${route} /owners/{id}/machine`, { id }, body === undefined ? {} : { body });
};
const change = (body: unknown, id?: string) => call("POST", body, id);
const define = { action: "define", hypervisor: "libvirt" };
const sent = () => world.agents.commandsFor("agt_target");

const result = {
  disks: [{ name: "vda", path: "/images/cnv_1/vda.qcow2", format: "qcow2" as const, sizeBytes: 64 }],
  copies: [],
  ...{ bytesRead: 0, bytesStored: 0, bytesWritten: 0, bytesVerified: 0, badRanges: 0, captureSeconds: 0 },
  limitingStage: "read",
};
const machine = {
  ...{ hypervisor: "libvirt", name: "pine-1", uuid: "0b2f5c0a-7d61-8c3e-8f00-1a2b3c4d5e6f" },
  ...{ bootDisk: "vda", bootReason: "it is the only disk" },
};

beforeEach(async () => {
  world = await World.start();
  const port = { kind: "ethernet", state: "up", mtuBytes: 1500, addresses: [] };
  const configuration = { source: "unknown", method: "dhcp" };
  const inventory = anInventory({
    hostname: "pine </name>",
    disks: [aDisk("vda")],
    network: {
      ...anInventory().network,
      interfaces: [
        { ...port, name: "eth0", macAddress: "52:54:00:00:00:07", configuration },
        { ...port, name: "tap0", macAddress: "fe:54:00:00:00:07", configuration },
      ] as never,
    },
  });
  await world.enrolled({ source: { inventory } });
  await world.store.conversions.add(aConversion({ state: "completed", result }));
});

/** The target host's answer to the last command. */
async function answer(output: unknown): Promise<void> {
  const id = sent().at(-1)?.commandId ?? "";
  await world.store.commands.modify(id, (command) => succeeded(command, output, "2030-01-01T00:00:05.000Z"));
}

test("the target host gets a whole and valid definition, with what is not said as the source has it", async () => {
  const { status, body } = await change(define);
  expect(status).toBe(202);
  expect(body).toMatchObject({ action: "define", state: "pending", requestedBy: "ada" });
  const [command] = sent();
  const input = commandKinds["define-machine"].input.parse(command?.input);
  expect(input).toMatchObject({
    ...{ ownerId: "cnv_1", sourceId: "agt_source", pointId: "rp_1", disks: result.disks, dryRun: false },
    ...{ name: "pine-name-1", title: "pine </name>", systemDisks: [] },
    shape: {
      cpuCount: 2,
      memoryMiB: 4096,
      firmware: "bios",
      diskBus: "sata",
      cardModel: "virtio",
      cards: [],
    },
  });
  expect(await world.audited()).toEqual(["ada machine-define-requested cnv_1 done"]);
});

test("a card keeps its interface's address if asked, and otherwise has a new one that stays the same", async () => {
  const link = { kind: "bridge", bridge: "br0", vlan: 12 };
  const cards = [{ link, keepAddressOf: "eth0" }, { link }, { link: { kind: "isolated" } }];
  await change({ ...define, cards });
  await answer({ machine });
  await change({ ...define, cards });
  const addresses = sent().map(({ input }) =>
    commandKinds["define-machine"].input.parse(input).shape.cards.map(({ address }) => address),
  );
  expect(addresses[0]?.[0]).toBe("52:54:00:00:00:07");
  expect(new Set(addresses[0]).size).toBe(3);
  expect(addresses[1]).toEqual(addresses[0]);
});

test.each([
  { ...define, cards: [{ link: { kind: "isolated" }, keepAddressOf: "eth9" }] },
  { ...define, cards: [{ link: { kind: "isolated" }, keepAddressOf: "tap0" }] },
  { ...define, cards: [{ link: { kind: "bridge", bridge: "br0;reboot" } }] },
  { ...define, name: "../x" },
  { ...define, bootDisk: "vdb" },
  { ...define, hypervisor: "esx" },
  { ...define, memoryMiB: 0 },
  { action: "stop", atOnce: "yes" },
  { action: "explode" },
])("%j is refused, and nothing is sent", async (body) => {
  expect((await change(body)).status).toBe(400);
  expect(sent()).toEqual([]);
});

test("a system is adapted to the machine as it is defined, its cards in the place of the source's ports", async () => {
  expect((await change({ action: "adapt" })).status).toBe(409);
  const link = { kind: "isolated" };
  await change({ ...define, diskBus: "virtio", cards: [{ link }, { link, keepAddressOf: "eth0" }] });
  await answer({ machine });
  const { body } = await change({ action: "adapt", purpose: "drill", dryRun: true });
  const input = commandKinds["adapt-machine"].input.parse(sent().at(-1)?.input);
  expect(input).toMatchObject({
    ...{ ownerId: "cnv_1", disks: result.disks, sourceDisks: [{ name: "vda" }], dryRun: true },
    wanted: { diskBus: "virtio", machineId: "kept", hostKeys: "kept", purpose: "drill" },
  });
  const eth0 = { name: "eth0", address: "52:54:00:00:00:07" };
  expect(input.wanted.cards.map(({ replaces }) => replaces)).toEqual([undefined, eth0]);
  const adaptation = {
    changes: [{ path: "/etc/fstab", why: ["w"], diff: "-a\n+b" }],
    ...{ commands: [], notes: [], stale: [], isApplied: false, computeSeconds: 60, applySeconds: 0 },
  };
  await answer(adaptation);
  expect((await call("GET")).body.items).toContainEqual(
    expect.objectContaining({ id: body.id, action: "adapt", adaptation }),
  );

  const address = { interface: "eth0", address: "192.0.2.20", prefixLength: 24 };
  await change({ action: "adapt", addresses: [address] });
  const addressed = commandKinds["adapt-machine"].input.parse(sent().at(-1)?.input);
  expect(addressed.wanted.addresses).toEqual([{ ...address, nameServers: [] }]);
  await answer(adaptation);
  // Its only port has the hardware address of no card.
  const unreached = [{ ...address, interface: "tap0" }];
  expect((await change({ action: "adapt", ports: ["eth0"], addresses: unreached })).status).toBe(400);

  expect((await change({ action: "adapt", ports: ["eth9"] })).status).toBe(400);
  expect((await change({ action: "adapt", ports: ["eth0", "eth0", "eth0"] })).status).toBe(400);
  await change({ action: "adapt", ports: ["eth0"] });
  const named = commandKinds["adapt-machine"].input.parse(sent().at(-1)?.input);
  expect(named.wanted.cards.map(({ replaces }) => replaces)).toEqual([eth0, undefined]);
});

test("an action that the target host has not finished is not sent twice, and no other one beside it", async () => {
  const first = await change({ action: "start" });
  const again = await change({ action: "start" });
  expect(again.body.id).toBe(first.body.id);
  expect((await change({ action: "stop" })).status).toBe(409);
  await answer({ machine, power: "on" });
  const stop = await change({ action: "stop", atOnce: true });
  expect(stop.status).toBe(202);
  expect(sent().map(({ input }) => input)).toEqual([
    { ownerId: "cnv_1", power: "on", atOnce: false },
    { ownerId: "cnv_1", power: "on", atOnce: false },
    { ownerId: "cnv_1", power: "off", atOnce: true },
  ]);
});

test("what the target host answered is listed, newest first", async () => {
  await change({ ...define, dryRun: true });
  await answer({ machine, definitions: [{ name: "domain", text: "<domain/>" }] });
  world.nowMs += 1000;
  await change({ action: "remove" });
  const id = sent().at(-1)?.commandId ?? "";
  const failure = { name: "MachineRunningError", message: "it is on", hint: "Stop it.", retryable: false };
  await world.store.commands.modify(id, (command) => failed(command, failure, "2030-01-01T00:00:09.000Z"));
  const { body } = await call("GET");
  expect(body.items).toMatchObject([
    { action: "remove", state: "failed", failure: { name: "MachineRunningError" } },
    { action: "define", state: "succeeded", machine, definitions: [{ text: "<domain/>" }] },
  ]);
});

test("a conversion that is not completed has no machine, nor has an unknown one", async () => {
  await world.store.conversions.add(aConversion({ id: "cnv_2", pointId: "rp_2" }));
  expect((await change({ action: "start" }, "cnv_2")).status).toBe(409);
  expect((await change({ action: "start" }, "cnv_3")).status).toBe(404);
  expect((await call("GET", undefined, "cnv_3")).status).toBe(404);
  expect(sent()).toEqual([]);
});

test("a revoked target host gets no command", async () => {
  await world.store.agents.modify("agt_target", (agent) => ({
    ...agent,
    revokedAt: "2030-01-01T00:00:00.000Z",
  }));
  expect((await change({ action: "start" })).status).toBe(403);
  expect(sent()).toEqual([]);
});
