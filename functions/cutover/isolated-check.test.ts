/** What answers over the network is asked before the commit, too, while the machine is isolated. */
import { beforeEach, expect, test } from "vitest";
import { aTarget } from "#shared/domain/testing/records.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { expectBack } from "../testing/expect-back.ts";

const ADDRESS = { kind: "tcp", host: "192.0.2.10", port: 5432 };
const NAME = { kind: "http", url: "https://pine.example.org/health" };
const OTHER = { kind: "tcp", host: "203.0.113.9", port: 443 };
const both = { kind: "all", checks: [ADDRESS, NAME] };

let site: CutoverSite;

beforeEach(async () => {
  site = await CutoverSite.start();
});

const shown = async (id: string) => (await site.api("GET /cutovers/{id}", id)).body;

async function targetSays(isolatedChecks: Inventory["isolatedChecks"]): Promise<void> {
  const { inventory } = aTarget();
  if (!inventory) throw new Error("a target host has an inventory");
  const { isolatedChecks: _, ...older } = inventory;
  await site.world.store.agents.modify("agt_target", (one) => ({
    ...one,
    inventory: { ...older, ...(isolatedChecks && { isolatedChecks }) },
  }));
}

test("a machine answers over the network before the commit, in the place of its gateway, and again after it", async () => {
  const id = await site.create({ check: ADDRESS });
  await site.passUntil("01:05");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
  expect(site.commands.filter((key) => /machine|lasting/.test(key))).toEqual([
    ...["define-machine", "bring-up-machine", "bring-up-machine isolated", "set-fence lasting"],
    ...["connect-machine", "bring-up-machine connected"],
  ]);
  const network = { gateway: "192.0.2.1", prefixLength: 24, addresses: ["192.0.2.10"] };
  expect(site.inputs["define-machine"]).toMatchObject({ isolated: true, isolatedNetworks: [network] });
  expect(site.inputs["bring-up-machine"]).toMatchObject({ check: { kind: "console" } });
  for (const label of ["isolated", "connected"])
    expect(site.inputs[`bring-up-machine ${label}`]).toMatchObject({ check: ADDRESS });
  expect(await shown(id)).toMatchObject({
    networkChecks: [{ check: "192.0.2.10:5432", beforeCommit: "yes" }],
    outageParts: expect.arrayContaining([{ part: "isolated-answer", seconds: expect.any(Number) }]),
  });
});

test("a machine that does not answer over the network while it is isolated is never connected, and its source serves", async () => {
  site.acts = { "bring-up-machine isolated": [{ fails: "MachineSilentError" }] };
  const id = await site.create({ check: ADDRESS });
  await site.passUntil("01:30");
  await expectBack(site, id);
  expect(await site.cutover(id)).toMatchObject({ failure: { name: "MachineSilentError" } });
  expect(site.commands).not.toContain("connect-machine");
});

test("if the window closes while it is asked, the source serves again before that", async () => {
  site.acts = { "bring-up-machine isolated": ["silent"] };
  const id = await site.create({ check: ADDRESS });
  await site.passUntil("02:00");
  expect(await site.cutover(id)).toMatchObject({
    state: "rolled-back",
    failure: { name: "WindowClosedError" },
  });
  expect(site.fence.isUp).toBe(false);
});

test("what cannot be asked before the commit is asked after it, as the cutover says from the beginning", async () => {
  const check = { kind: "all", checks: [ADDRESS, OTHER] };
  const { body } = await site.api("GET /cutovers/{id}", await site.create({ check }));
  expect(body).toMatchObject({
    networkChecks: [
      { check: "192.0.2.10:5432", beforeCommit: "yes" },
      {
        ...{ check: "203.0.113.9:443", beforeCommit: "no" },
        why: "the source is not known to have 203.0.113.9",
      },
    ],
  });
  await site.passUntil("01:05");
  expect(site.inputs["bring-up-machine isolated"]).toMatchObject({ check: ADDRESS });
  expect(site.inputs["bring-up-machine connected"]).toMatchObject({ check });
});

test("a check by a name that leads elsewhere is said to have been asked only after the commit", async () => {
  const id = await site.create({ check: both });
  const why = "only if the target host finds 192.0.2.10 by the name pine.example.org";
  const check = "https://pine.example.org/health";
  expect(await shown(id)).toMatchObject({ networkChecks: [{}, { check, beforeCommit: "by-name", why }] });
  site.asked = { leftOut: [{ check, why: "it leads to 203.0.113.9" }] };
  await site.passUntil("01:05");
  expect(await shown(id)).toMatchObject({
    state: "completed",
    networkChecks: [
      { check: "192.0.2.10:5432", beforeCommit: "yes" },
      { check, beforeCommit: "no", why: "it leads to 203.0.113.9" },
    ],
  });
});

test("a check by a name that leads to the machine is said to have been asked before the commit", async () => {
  const id = await site.create({ check: NAME });
  await site.passUntil("01:05");
  const [one] = (await shown(id)).networkChecks as object[];
  expect(one).toEqual({ check: "https://pine.example.org/health", beforeCommit: "yes" });
});

test.each([
  ["its operator wants that", { asksIsolated: false }, {}],
  ["its target host's agent does not say that it could ask before", {}, undefined],
])("a machine is asked only after the commit if %s, as the cutover says", async (_, change, says) => {
  await targetSays(says);
  const id = await site.create({ check: ADDRESS, ...change });
  expect(await shown(id)).toMatchObject({
    networkChecks: [{ check: "192.0.2.10:5432", beforeCommit: "no", why: expect.any(String) }],
  });
  await site.passUntil("01:05");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
  expect(site.commands).not.toContain("bring-up-machine isolated");
  expect(site.inputs["define-machine"]).not.toHaveProperty("isolatedNetworks");
});

test("a target host that lacks what it needs for that is refused, and holds a cutover back that was created before", async () => {
  const problem = "ip is not installed (iproute2)";
  const id = await site.create({ check: ADDRESS });
  await targetSays({ problem });
  await site.passUntil("01:05");
  expect(await site.cutover(id)).toMatchObject({
    ...{ state: "waiting", heldBack: { why: expect.stringContaining(problem) } },
  });
  await site.api("POST /cutovers/{id}/cancel", id);
  await expect(site.create({ check: ADDRESS })).rejects.toThrow("IsolatedCheckUnavailableError");
  expect(await site.create({ check: ADDRESS, asksIsolated: false })).toMatch(/^cut_/);
});
