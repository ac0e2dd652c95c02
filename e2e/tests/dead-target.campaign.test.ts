/** A target host that dies after the commit, with real agents: the way back is at the source's console. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { isMachineStopped } from "#agent/lease/machine-processes.ts";
import { completedRun } from "../testing/plan-runs.ts";
import { SERVICE, SmallSite } from "../testing/small-site.ts";
import { until } from "../testing/until.ts";

let site: SmallSite;
let cutoverId: string;
beforeAll(async () => {
  site = await SmallSite.start();
  cutoverId = await site.cutOver();
  await site.reached(cutoverId, "completed");
});
afterAll(() => site?.[Symbol.asyncDispose]());

const serving = () => [...site.sourceHost.systemd.active];
const lease = () => site.api.getLease({ parameters: { id: site.sourceId } });
test("a source whose target host is dead stays down, also when its agent is killed and when it restarts", async () => {
  await site.targetHost.cutPower();
  await site.source.kill();
  site.source.start();
  await site.started("source", 2);
  expect(serving()).toEqual([]);
  await site.sourceHost.cutPower();
  await site.sourceHost.powerOn();
  site.source.start();
  await site.started("source", 3);
  const { isUp, services } = await site.fenceCli();
  expect({ isUp, services, serving: serving() }).toEqual({ isUp: true, services: [SERVICE], serving: [] });
  expect(await lease()).toMatchObject({ state: "permanent", ownerId: cutoverId, sourceOff: "fenced" });
});

test("without a network, a person at its console has it serve, once, and only with the word that the machine is off", async () => {
  await site.installation.kill("cloud");
  await expect(site.fenceCli("break")).rejects.toThrow("--machine-is-off");
  expect(serving()).toEqual([]);
  expect(await site.fenceCli("break", "--machine-is-off")).toMatchObject({
    isUp: false,
    broken: { by: "ada" },
  });
  expect(serving()).toEqual([SERVICE]);
  const before = await site.fenceCli();
  await expect(site.fenceCli("break", "--machine-is-off")).rejects.toThrow("this machine is not fenced");
  expect(await site.fenceCli()).toEqual(before);
});

test("the control plane learns of it when it is back, and its audit has who took the right from which machine, and when", async () => {
  await site.installation.up();
  const isKnown = async () => (await lease()).state === "none" || undefined;
  await until("the source to have its right back", isKnown, 120, 200);
  const { broken } = await site.fenceCli();
  const { items } = await site.api.listAudit({});
  expect(items.filter(({ action }) => action === "fence-broken")).toMatchObject([
    {
      ...{ actor: site.sourceId, subject: site.sourceId },
      details: { term: 1, ownerId: cutoverId, by: "ada", brokenAt: broken?.at },
    },
  ]);
  expect(serving()).toEqual([SERVICE]);
});

test("the dead host keeps its machine paused when it comes back, also if it was started with the host, and does not start it", async () => {
  const { machine } = await site.api.getCutover({ parameters: { id: cutoverId } });
  const uuid = machine?.uuid ?? "";
  await site.targetHost.powerOn();
  await site.targetHost.libvirt.run(["start", "--domain", uuid]);
  site.target.start();
  await until("the machine to be paused", async () => (await isMachineStopped(uuid)) || undefined, 60, 200);
  const guard = `causeway-lease-${cutoverId}.service`;
  await until("its guard", () => site.targetHost.systemd.calls.includes(`restart ${guard}`) || undefined);
  const start = { parameters: { id: cutoverId }, body: { action: "start" as const } };
  await expect(site.api.changeMachine(start)).rejects.toMatchObject({ problem: { name: "WrongStateError" } });
  expect(await isMachineStopped(uuid)).toBe(true);
  expect(serving()).toEqual([SERVICE]);
});

test("its source is protected again, by a standby on the host that came back", async () => {
  const parameters = { id: site.planId };
  await site.api.resumePlan({ parameters });
  const { id } = await site.api.runPlan({ parameters });
  const { result } = await completedRun(site.api, site.planId, (run) => run.id === id);
  expect(result?.standby).toMatchObject({ state: "applied" });
});
