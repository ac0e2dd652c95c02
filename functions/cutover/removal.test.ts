/** What a cutover that was undone leaves on its target host. */
import { beforeEach, expect, test } from "vitest";
import * as machines from "../api/machines.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import * as endCutover from "../tasks/end-cutover.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { request } from "../testing/world.ts";

let site: CutoverSite;

const MINUTE_MS = 60_000;
const removals = () => site.commands.filter((key) => key === "remove-machine").length;
const shown = async (id: string) => (await site.api("GET /cutovers/{id}", id)).body;
const alarm = (id: string) => site.world.store.alarms.find({ kind: "cutover-held", subject: id });

async function machineApi(id: string, body: object) {
  const { handler: _, ...operations } = machines;
  const handler = apiHandler(
    { name: "api/machines", build: () => site.deps, operations },
    site.world.runtime,
  );
  const answer = await request(handler, "POST /owners/{id}/machine", { id }, { body });
  await site.settle();
  return answer;
}

/** Rolled back because its machine did not answer. */
async function rolledBack(acts: CutoverSite["acts"] = {}, time = "01:01"): Promise<string> {
  site.acts = { "bring-up-machine": [{ fails: "MachineSilentError" }], ...acts };
  const id = await site.create();
  await site.passUntil(time);
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back" });
  return id;
}

beforeEach(async () => {
  site = await CutoverSite.start();
});

test("a machine that could not be removed after a rollback is removed later, and the cutover says both", async () => {
  const id = await rolledBack({ "remove-machine": [{ fails: "HypervisorFailedError" }, "done"] });
  expect(await shown(id)).toMatchObject({
    removal: { state: "failed", failure: { name: "HypervisorFailedError" } },
  });
  expect((await alarm(id))?.cause).toContain("could not remove");
  await site.pass(6 * MINUTE_MS);
  expect(await shown(id)).toMatchObject({ removal: { state: "done" } });
  expect(await alarm(id)).toMatchObject({ state: "open", cause: expect.not.stringContaining("remove") });
  await site.pass(60 * MINUTE_MS);
  expect(removals()).toBe(2);
  expect(site.world.timer.cutovers.size).toBe(0);
});

test("a machine that cannot be removed is tried ten times in two days, and the alarm says how to do it by hand", async () => {
  const id = await rolledBack({ "remove-machine": [{ fails: "HypervisorFailedError" }] });
  await site.pass(72 * 60 * MINUTE_MS);
  expect(removals()).toBe(10);
  expect(site.world.timer.cutovers.size).toBe(0);
  const { cause, action } = (await alarm(id)) ?? {};
  expect(cause).toContain("it was HypervisorFailedError");
  expect(action).toContain(`causeway machine remove ${id} --disks`);
});

test("a machine that is left is removed by hand, and only that is done with it", async () => {
  const id = await rolledBack({
    "remove-machine": [...Array<{ fails: string }>(10).fill({ fails: "DiskBusyError" }), "done"],
  });
  await site.pass(72 * 60 * MINUTE_MS);
  expect((await machineApi(id, { action: "start" })).status).toBe(409);
  expect((await machineApi(id, { action: "remove", disks: true })).status).toBe(202);
  expect(await shown(id)).toMatchObject({ removal: { state: "done" } });
});

test.each([{ action: "define", hypervisor: "libvirt", dryRun: false }, { action: "start" }])(
  "the machine of a cutover that waits cannot be made to run by hand: $action",
  async (action) => {
    const id = await site.create({ mode: "hold" });
    const before = site.commands.length;
    expect((await machineApi(id, action)).status).toBe(409);
    expect(site.commands).toHaveLength(before);
  },
);

test("nothing of a cutover is removed by hand while it is under way", async () => {
  site.acts = { "bring-up-machine": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:01");
  expect((await machineApi(id, { action: "remove", disks: true })).status).toBe(409);
  expect(removals()).toBe(0);
});

test("a machine that could not be switched off is switched off before it is removed", async () => {
  await rolledBack({ "power-machine off": [{ fails: "HypervisorFailedError" }, "done"] }, "01:03");
  expect(site.commands.slice(-2)).toEqual(["power-machine off", "remove-machine"]);
  expect(site.machine.isOn).toBe(false);
});

test("a target host that is away is asked once, and does it when it connects", async () => {
  const id = await rolledBack({ "remove-machine": ["silent", "done"] });
  expect(await shown(id)).toMatchObject({ removal: { state: "asked" } });
  await site.pass(72 * 60 * MINUTE_MS);
  expect(await shown(id)).toMatchObject({ removal: { state: "asked" } });
  await site.connect("agt_target");
  expect(await shown(id)).toMatchObject({ removal: { state: "done" } });
});

test("a cutover that was cancelled has an alarm only as long as something of it is left", async () => {
  site.acts = { "remove-machine": [{ fails: "HypervisorFailedError" }, "done"] };
  const id = await site.create({ adapt: true });
  await site.api("POST /cutovers/{id}/cancel", id);
  expect(await alarm(id)).toMatchObject({ state: "open", cause: expect.stringContaining("was cancelled") });
  await site.pass(6 * MINUTE_MS);
  expect(await alarm(id)).toMatchObject({ state: "cleared" });
});

test("a cutover that failed before it began leaves no clone behind", async () => {
  site.acts = { "release rehearsal": [{ fails: "DiskBusyError" }] };
  const id = await site.create({ adapt: true });
  expect(await site.cutover(id)).toMatchObject({ state: "failed" });
  expect(site.commands.at(-1)).toBe("remove-machine");
  expect(await shown(id)).toMatchObject({ removal: { state: "done" } });
});

test("an alarm of a rollback that a person has cleared stays so when the machine is removed", async () => {
  const id = await rolledBack({ "remove-machine": ["silent", "done"] });
  await site.world.store.alarms.modifyExisting({ kind: "cutover-held", subject: id }, (one) => ({
    ...one,
    state: "cleared",
  }));
  await site.connect("agt_target");
  expect(await alarm(id)).toMatchObject({ state: "cleared" });
});

test("the end that is repeated asks for nothing again that was removed", async () => {
  const id = await rolledBack();
  await endCutover.run({ cutoverId: id, sourceServes: "yes" }, site.deps);
  await site.settle();
  expect(removals()).toBe(1);
});
