import { beforeEach, expect, test } from "vitest";
import { anInventory, aReach } from "#shared/domain/testing/records.ts";
import { run as ingest } from "../ingest/agent-events.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { expectBack } from "../testing/expect-back.ts";

const AT_COMMIT = ["set-fence lasting", "switch-off", "connect-machine"];
let site: CutoverSite;

const notices = () => site.world.topic.notices.filter((notice) => notice.includes("cutover"));

beforeEach(async () => {
  site = await CutoverSite.start();
});

test("the copy is made while no fence is on the source's disks, so the machine is not fenced, and the commit makes the fence last", async () => {
  const id = await site.create();
  await site.passUntil("01:01");
  expect(site.inputs["set-fence up"]).toMatchObject({ term: 1, isUp: true, lasting: false });
  expect(site.inputs["set-fence lasting"]).toMatchObject({ term: 1, isUp: true, lasting: true });
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});

test.each([
  ["served clients again in the outage", { fails: "FenceInterruptedError" } as const],
  ["does not say that it is still quiet", "silent" as const],
])("a source that %s is rolled back to", async (_, act) => {
  site.acts = { "set-fence lasting": [act] };
  const id = await site.create();
  await site.passUntil("01:05");
  await expectBack(site, id);
});

test.each([
  ["quieted", "up"],
  ["kept quiet", "lasting"],
])(
  "a source whose fence a person breaks while it is %s is rolled back to, although the command succeeds",
  async (_, label) => {
    const id = await site.create();
    site.onCall = (name, payload) => {
      const isIt = name === "DispatchCommand" && (payload as { label?: string }).label === label;
      if (isIt) site.source.fence = { term: 1, isUp: false };
    };
    await site.passUntil("01:05");
    expect(site.commands).toContain(`set-fence ${label}`);
    await expectBack(site, id);
    expect(await site.cutover(id)).toMatchObject({ failure: { name: "FenceInterruptedError" } });
  },
);

test("a source whose agent is older, so that its fence is on the disks before they are copied, is rolled back to before they are", async () => {
  site.lasts = () => ({});
  const id = await site.create();
  await site.passUntil("01:05");
  await expectBack(site, id);
  const { failure, runs } = await site.cutover(id);
  expect(failure).toMatchObject({
    name: "SourceAgentOutdatedError",
    hint: expect.stringContaining("Update the source's agent"),
  });
  expect(runs.map(({ phase }) => phase)).not.toContain("final-sync");
});

test.each([
  ["quieted", false],
  ["committed", true],
])(
  "a source that does not name each service of its list when it is %s is rolled back to",
  async (_, atCommit) => {
    await site.world.store.agents.modify("agt_source", (one) => ({
      ...one,
      inventory: anInventory({ ...one.inventory, fencedServices: ["db.service", "web.service"] }),
    }));
    const both = ["web.service", "db.service", "part.service"];
    site.lasts = ({ isUp, lasting }) =>
      isUp ? { lasting, services: lasting === atCommit ? ["db.service"] : both } : {};
    const id = await site.create();
    await site.passUntil("01:05");
    await expectBack(site, id);
    expect((await site.cutover(id)).failure).toMatchObject({
      name: "FenceIncompleteError",
      message: expect.stringContaining("web.service"),
      hint: expect.stringContaining("stop none of them"),
    });
    expect(site.commands.includes("clone-standby")).toBe(atCommit);
  },
);

test("a source that does not say that its fence lasts at the commit is rolled back to", async () => {
  site.lasts = () => ({ lasting: false });
  const id = await site.create();
  await site.passUntil("01:05");
  expect(site.commands).toContain("set-fence lasting");
  await expectBack(site, id);
});

test("a source that could not be quieted serves beside no machine, so no alarm says that it may", async () => {
  site.acts = { "set-fence up": [{ fails: "CutoverHookFailedError" }] };
  const id = await site.create();
  await site.passUntil("01:05");
  await expectBack(site, id);
  expect(site.world.topic.notices.filter((notice) => notice.includes("fence"))).toEqual([]);
});

test("a source that is to be switched off shuts down after the commit, before its machine is connected", async () => {
  const id = await site.create({ switchSourceOff: true });
  site.before.FinishCutover = async () => expect(site.commands.slice(-3)).toEqual(AT_COMMIT);
  await site.passUntil("01:02");
  expect(await site.cutover(id)).toMatchObject({ state: "completed", sourceOff: "announced" });
  expect(site.inputs["switch-off"]).toEqual({ ownerId: id, term: 1 });
  expect(notices()).toEqual([]);
});

test("a machine is connected only after the time in which a source that has its answer acknowledged late shuts down", async () => {
  const at: Record<string, number> = {};
  site.onCall = (_, payload) => {
    at[String((payload as { kind?: string }).kind)] = site.now;
  };
  await site.create({ switchSourceOff: true });
  await site.passUntil("01:02");
  // The agent acts after 20 s without an acknowledgement.
  expect(Number(at["connect-machine"]) - Number(at["switch-off"])).toBeGreaterThanOrEqual(25_000);
});

test("a source that does not say that it shuts down keeps no client waiting, and an alarm tells of it", async () => {
  site.acts = { "switch-off": ["silent"] };
  const id = await site.create({ switchSourceOff: true });
  await site.passUntil("01:03");
  expect(await site.cutover(id)).toMatchObject({ state: "completed", sourceOff: "unknown" });
  expect(site.commands.slice(-3)).toEqual(AT_COMMIT);
  expect(notices()).toEqual([`raised cutover-held ${id}`]);
});

/** What the agent of a source says that it was to switch off. */
const says = (id: string, event: object) =>
  ingest(
    {
      agentId: "agt_source",
      event: { commandId: `${id}.switch-off.1`, at: new Date(site.now).toISOString(), ...event },
    },
    site.deps,
  );
const refused = { name: "WrongStateError", message: "access denied", hint: "See.", retryable: false };

test("a source that has said that it shuts down, and takes that back, may be on: an alarm tells of it", async () => {
  const id = await site.create({ switchSourceOff: true });
  await site.passUntil("01:02");
  expect(await site.cutover(id)).toMatchObject({ state: "completed", sourceOff: "announced" });
  for (const _ of ["once", "and again"]) await says(id, { type: "command-failed", failure: refused });
  expect(await site.cutover(id)).toMatchObject({ state: "completed", sourceOff: "unknown" });
  expect(notices()).toEqual([`raised cutover-held ${id}`]);
});

test("a source that takes it back before its machine is connected may be on, too", async () => {
  site.acts = { "connect-machine": ["silent"] };
  const id = await site.create({ switchSourceOff: true });
  await site.passUntil("01:01");
  expect(site.commands.slice(-3)).toEqual(AT_COMMIT);
  await says(id, { type: "command-failed", failure: refused });
  site.acts = {};
  await site.passUntil("01:10");
  expect(await site.cutover(id)).toMatchObject({ state: "completed", sourceOff: "unknown" });
  expect(notices()).toContain(`raised cutover-held ${id}`);
});

test("a source that was away, and says that it shuts down once it is back, clears the alarm", async () => {
  site.acts = { "switch-off": ["silent"] };
  const id = await site.create({ switchSourceOff: true });
  await site.passUntil("01:03");
  await says(id, { type: "command-succeeded", output: {} });
  expect(await site.cutover(id)).toMatchObject({ state: "completed", sourceOff: "announced" });
  expect(notices()).toEqual([`raised cutover-held ${id}`, `cleared cutover-held ${id}`]);
});

test("a cutover whose machine cannot be connected after the commit tells that the source may be on", async () => {
  site.acts = { "switch-off": ["silent"], "connect-machine": [{ fails: "LeaseEndedError" }] };
  const id = await site.create({ switchSourceOff: true });
  await site.passUntil("01:10");
  expect(await site.cutover(id)).toMatchObject({ state: "failed", sourceOff: "unknown" });
  const { items } = await site.world.store.alarms.page({ limit: 10 });
  expect(items.map(({ cause }) => cause)).toContainEqual(
    expect.stringContaining("It is unknown whether the source is off"),
  );
});

test("a cutover that is rolled back switches no source off", async () => {
  site.acts = { "bring-up-machine": [{ fails: "MachineSilentError" }] };
  const id = await site.create({ switchSourceOff: true });
  await site.passUntil("01:02");
  await expectBack(site, id);
  expect(site.commands).not.toContain("switch-off");
});

test("a machine does not take the hardware address of the card that connects the fenced source", async () => {
  const facts = { kind: "ethernet", state: "up", mtuBytes: 1500 } as const;
  const configuration = { source: "unknown", method: "unknown" } as const;
  const interfaces = ["eth0", "br0", "eth1"].map((name) => ({
    ...{ ...facts, configuration, name, addresses: [] },
    macAddress: name === "eth1" ? "52:54:00:00:00:02" : "52:54:00:00:00:01",
  }));
  const network = { interfaces, routes: [], dns: { servers: [], search: [] } };
  const inventory = anInventory({
    fencedServices: ["db.service"],
    network: { ...network, reach: aReach({ device: "br0" }) },
  });
  await site.world.store.agents.modify("agt_source", (one) => ({ ...one, inventory }));
  const machine = (keepAddressOf: string) => ({
    machine: { hypervisor: "libvirt", cards: [{ link: { kind: "bridge", bridge: "br0" }, keepAddressOf }] },
  });
  await expect(site.create(machine("eth0"))).rejects.toThrow("the fenced source stays connected by eth0");
  const { cards } = machine("eth1").machine;
  const isolated = { link: { kind: "isolated" }, keepAddressOf: "eth0" };
  const apart = await site.create({ machine: { hypervisor: "libvirt", cards: [isolated, ...cards] } });
  await site.api("POST /cutovers/{id}/cancel", apart);
  await site.create({ ...machine("eth0"), switchSourceOff: true });
});
