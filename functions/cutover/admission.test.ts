/** Which cutovers are created. */
import { beforeEach, expect, test } from "vitest";
import { anInventory } from "#shared/domain/testing/records.ts";
import { CutoverSite } from "../testing/cutover-site.ts";

let site: CutoverSite;

const fenced = (fencedServices?: string[]) =>
  site.world.store.agents.modify("agt_source", (one) => ({
    ...one,
    inventory: anInventory(fencedServices ? { fencedServices } : {}),
  }));
const machine = { hypervisor: "libvirt", cards: [{ link: { kind: "bridge", bridge: "br0" } }] };
const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "02:00", timeZone: "UTC" }];
const create = (more: object = {}) =>
  site.api("POST /cutovers", undefined, {
    body: { sourceId: "agt_source", targetId: "agt_target", windows, machine, ...more },
  });

beforeEach(async () => {
  site = await CutoverSite.start();
});

test("a source whose fence stops nothing gets no cutover, and is said what its agent needs", async () => {
  await fenced([]);
  expect(await create()).toMatchObject({
    status: 409,
    body: { name: "NothingFencedError", hint: expect.stringContaining("--fence-service NAME.service") },
  });
  expect((await site.world.store.cutovers.page({ limit: 10 })).items).toEqual([]);
  await fenced(["db.service"]);
  expect((await create()).status).toBe(202);
});

test("a source whose agent is older, and does not say what its fence stops, gets none until the agent was updated", async () => {
  await fenced();
  expect(await create()).toMatchObject({
    status: 409,
    body: {
      name: "SourceAgentOutdatedError",
      hint: expect.stringContaining("Update the source's agent"),
    },
  });
  await fenced(["db.service"]);
  expect((await create()).status).toBe(202);
});

const units = (state?: "running" | "stopped" | "not-found") =>
  site.world.store.agents.modify("agt_source", (one) => {
    const { fencedUnits: _, ...rest } = one.inventory ?? anInventory();
    const known = state && { fencedUnits: [{ name: "db.service", state }] };
    return { ...one, inventory: { ...rest, fencedServices: ["db.service"], ...known } };
  });

test("a service that the source does not have is found before a window, and one that nothing is known of is not refused", async () => {
  await units("not-found");
  expect(await create()).toMatchObject({
    status: 409,
    body: { name: "FencedServiceMissingError", detail: expect.stringContaining("db.service") },
  });
  await units();
  expect((await create()).status).toBe(202);
});

test("a service that does not run is shown with the cutover, which is created", async () => {
  await units("stopped");
  expect(await create()).toMatchObject({
    ...{ status: 202, body: { fencedUnits: [{ name: "db.service", state: "stopped" }] } },
  });
});

test("how often its plan copies what has changed until the window is shown with the cutover, also after an edit of the plan", async () => {
  const { body } = await create();
  const { id, planId } = body as Record<"id" | "planId", string>;
  expect(body).toMatchObject({ syncs: { intervalSeconds: 3600, nextRunAt: expect.any(String) } });
  await site.world.store.plans.modify(planId, (one) => ({ ...one, intervalSeconds: 300 }));
  const shown = async () => (await site.api("GET /cutovers/{id}", id)).body;
  expect(await shown()).toMatchObject({ syncs: { intervalSeconds: 300 } });
  await site.world.store.plans.modify(planId, ({ nextRunAt: _, ...one }) => ({ ...one, state: "paused" }));
  expect(await shown()).toMatchObject({ syncs: { nextRunAt: null } });
});

test("a service that is removed before the window holds the cutover back, with an alarm that names it", async () => {
  const id = await site.create();
  await units("not-found");
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({
    ...{ state: "waiting", heldBack: { why: expect.stringContaining("db.service") } },
  });
  expect(site.commands.filter((key) => key.startsWith("set-fence"))).toEqual([]);
  expect(site.world.topic.notices).toContain(`raised cutover-held ${id}`);
});

test("a service that is removed while the standby is brought up to date leads back before anything is stopped", async () => {
  const id = await site.create();
  site.before.EndCutoverRun = async () => void (await units("not-found"));
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back" });
  expect((await site.cutover(id)).failure?.hint).toContain("db.service");
  expect(site.commands.filter((key) => key === "set-fence up")).toEqual([]);
});

test("a system that is not adapted gets no new identity, and its cutover is not created", async () => {
  expect(await create({ machineId: "new", hostKeys: "new" })).toMatchObject({
    status: 400,
    body: {
      name: "InvalidInputError",
      detail: expect.stringMatching(/machineId: .*\(--adapt\); hostKeys: .*\(--adapt\)/),
    },
  });
  expect((await site.world.store.cutovers.page({ limit: 10 })).items).toEqual([]);
  const { status, body } = await create({ machineId: "kept", hostKeys: "kept" });
  expect(status).toBe(202);
  expect(body).not.toHaveProperty("identity");
});

test("disks of another format than the standby's would be copied in the outage, so no cutover has them", async () => {
  expect(await create({ format: "qcow2" })).toMatchObject({
    status: 400,
    body: {
      name: "InvalidInputError",
      detail: expect.stringContaining("`causeway recover --production --format qcow2`"),
    },
  });
  expect((await site.world.store.cutovers.page({ limit: 10 })).items).toEqual([]);
  expect((await create({ format: "raw" })).status).toBe(202);
});

test("a check script that the target host does not have is refused before the outage, unless its agent does not say", async () => {
  const scripts = (checkScripts?: string[]) =>
    site.world.store.agents.modify("agt_target", (one) => ({
      ...one,
      inventory: anInventory(checkScripts ? { checkScripts } : {}),
    }));
  await scripts(["db"]);
  expect(await create({ script: "web" })).toMatchObject({
    status: 409,
    body: {
      name: "CheckScriptMissingError",
      detail: expect.stringContaining("web on target host agt_target"),
    },
  });
  await scripts();
  expect((await create({ script: "web" })).status).toBe(202);
});

test("a bridge that the target host did not have is shown before the window, as far as its links are known", async () => {
  const links = (...names: string[]) => {
    const each = { kind: "bridge", state: "up", mtuBytes: 1500 } as const;
    const configuration = { source: "unknown", method: "unknown" } as const;
    const interfaces = names.map((name) => ({ ...each, addresses: [], configuration, name }));
    const network = { interfaces, routes: [], dns: { servers: [], search: [] } };
    return site.world.store.agents.modify("agt_target", (one) => ({
      ...one,
      inventory: anInventory({ network }),
    }));
  };
  await links("br1");
  const { body } = await create();
  expect(body).toMatchObject({ missingBridges: ["br0"] });
  for (const names of [["br0", "br1"], []]) {
    await links(...names);
    expect((await site.api("GET /cutovers/{id}", String(body.id))).body).not.toHaveProperty("missingBridges");
  }
});

test("a check script that is removed from the target host before the window holds the cutover back", async () => {
  const scripts = (checkScripts: string[]) =>
    site.world.store.agents.modify("agt_target", (one) => ({
      ...one,
      inventory: anInventory({ checkScripts }),
    }));
  await scripts(["web"]);
  const id = await site.create({ script: "web" });
  await scripts([]);
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({
    ...{ state: "waiting", heldBack: { why: expect.stringContaining("web on target host agt_target") } },
  });
});

test("an answer at an address that no machine can have is refused", async () => {
  const check = { kind: "http", url: "http://169.254.169.254/" };
  expect((await create({ check })).status).toBe(400);
});
