/** What is tried on a clone before the window, and what of it the outage uses. */
import { beforeEach, expect, test } from "vitest";
import type { Cutover } from "#shared/protocol/cutover.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { expectBack } from "../testing/expect-back.ts";

let site: CutoverSite;

beforeEach(async () => {
  site = await CutoverSite.start();
});

test("its adaptation is computed on a clone before the window, and applied in the outage", async () => {
  const id = await site.create({ adapt: true });
  expect(site.commands.slice(2)).toEqual([
    ...["clone-standby rehearsal", "define-machine rehearsal", "adapt-machine rehearsal"],
    "release rehearsal",
  ]);
  expect(site.inputs["define-machine rehearsal"]).toMatchObject({ dryRun: true, isolated: true });
  expect(site.inputs["adapt-machine rehearsal"]).toMatchObject({ dryRun: true });
  expect(site.inputs["release rehearsal"]).toMatchObject({ keepsAdaptation: true });
  expect((await site.api("GET /cutovers/{id}", id)).body).toMatchObject({
    ...{ state: "waiting", rehearsal: { state: "done", isDefinable: true, changes: 1 } },
    identity: { machineId: "kept", hostKeys: "kept" },
  });
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
  expect(site.inputs["adapt-machine"]).toMatchObject({ dryRun: false });
});

test("what an operator has to look after in the adapted system is shown before the window", async () => {
  site.adapted = { notes: ["/etc/hosts names 192.0.2.10"] };
  const { body } = await site.api("GET /cutovers/{id}", await site.create({ adapt: true }));
  expect(body).toMatchObject({ rehearsal: { state: "done" }, notes: ["/etc/hosts names 192.0.2.10"] });
});

test("a new identity is computed before the window, applied in the outage, and shown to who approves it", async () => {
  const asked = { machineId: "new", hostKeys: "new" };
  const id = await site.create({ adapt: true, ...asked });
  const wanted = { ...asked, purpose: "production" };
  expect(site.inputs["adapt-machine rehearsal"]).toMatchObject({ wanted });
  expect((await site.api("GET /cutovers/{id}", id)).body).toMatchObject({ identity: asked });
  await site.passUntil("01:01");
  expect(site.inputs["adapt-machine"]).toMatchObject({ wanted });
});

test("what is computed again in the outage is shown in place of what was computed before, with what it cost", async () => {
  site.adapted = { notes: ["/etc/hosts names 192.0.2.10"], computeSeconds: 0 };
  const id = await site.create({ adapt: true });
  const shown = async () => (await site.api("GET /cutovers/{id}", id)).body;
  expect(await shown()).toMatchObject({ notes: ["/etc/hosts names 192.0.2.10"] });
  const [fstab, exports] = ["/etc/fstab was changed", "/etc/exports names 192.0.2.10"];
  const changes = ["/etc/fstab", "/etc/hosts"].map((path) => ({ path, why: [], diff: "" }));
  site.adapted = { changes, notes: [exports], stale: [fstab], computeSeconds: 31 };
  await site.passUntil("01:01");
  expect(await shown()).toMatchObject({
    ...{ state: "completed", rehearsal: { changes: 1 }, notes: [exports] },
    adapted: { changes: 2, stale: [fstab], computeSeconds: 31 },
  });
});

test("an adaptation that leaves no more to look after in the outage shows none", async () => {
  site.adapted = { notes: ["/etc/hosts names 192.0.2.10"] };
  const id = await site.create({ adapt: true });
  site.adapted = {};
  await site.passUntil("01:01");
  const { body } = await site.api("GET /cutovers/{id}", id);
  expect(body).toMatchObject({ state: "completed" });
  expect(body).not.toHaveProperty("notes");
});

test("once it has begun, it shows which parts of its outage are over", async () => {
  const id = await site.create({ adapt: true });
  const shown = async () => (await site.api("GET /cutovers/{id}", id)).body;
  const parts = async () => {
    const { outageParts } = (await shown()) as Pick<Cutover, "outageParts">;
    return outageParts?.map(({ part }) => part);
  };
  expect(await parts()).toBeUndefined();
  site.acts = { "define-machine": ["silent"] };
  await site.passUntil("01:01");
  const copied = ["quiesce", "capture", "apply", "clone"];
  expect(await parts()).toEqual(copied);
  site.acts = {};
  await site.connect("agt_target");
  await site.passUntil("01:20");
  expect(await shown()).toMatchObject({ state: "completed" });
  expect(await parts()).toEqual([...copied, "define", "adapt", "boot", "connect"]);
});

test("a system that cannot be adapted does not begin its cutover, and a clone that was tried is removed", async () => {
  site.acts = { "adapt-machine rehearsal": [{ fails: "SystemNotAdaptedError" }] };
  const id = await site.create({ adapt: true });
  expect(site.commands.at(-1)).toBe("release rehearsal");
  await site.passUntil("01:01");
  expect((await site.api("GET /cutovers/{id}", id)).body).toMatchObject({
    ...{ state: "waiting", forecast: { fits: false }, rehearsal: { state: "failed" } },
    heldBack: { why: expect.stringContaining("SystemNotAdaptedError") },
  });
  await site.api("POST /cutovers/{id}/cancel", id);
  expect(site.commands.at(-1)).toBe("remove-machine");
});

test("a machine that its target host cannot define is found on a clone, before the window, and its source is left alone", async () => {
  site.acts = { "define-machine rehearsal": [{ fails: "MachineUnsupportedError" }] };
  const id = await site.create({ adapt: true });
  await site.passUntil("01:01");
  expect((await site.api("GET /cutovers/{id}", id)).body).toMatchObject({
    ...{ state: "waiting", forecast: { fits: false } },
    rehearsal: { state: "failed", failure: { name: "MachineUnsupportedError" } },
    heldBack: { why: expect.stringContaining("MachineUnsupportedError") },
  });
  expect(site.commands).not.toContain("set-fence up");
  await site.api("POST /cutovers/{id}/cancel", id);
  expect(await site.cutover(id)).toMatchObject({ state: "cancelled" });
  expect(site.commands.at(-1)).toBe("remove-machine");
});

test("one whose machine was only tried on a clone switches none off when it is rolled back", async () => {
  site.acts = { "set-fence up": [{ fails: "FenceIncompleteError" }] };
  const id = await site.create({ adapt: true });
  await site.passUntil("01:30");
  await expectBack(site, id);
  expect(site.commands).not.toContain("power-machine off");
});
