/** Cutovers whose source restarts into its boot environment. */
import { beforeEach, expect, test } from "vitest";
import { CutoverSite } from "../testing/cutover-site.ts";
import { expectBack } from "../testing/expect-back.ts";

let site: CutoverSite;

beforeEach(async () => {
  site = await CutoverSite.start({}, { isRestartable: true });
});

const create = (change: object = {}) => site.create({ quiesce: "cold", ...change });
const sourceAway = (id: string) => site.world.store.alarms.find({ kind: "source-away", subject: id });

/** The source's own system runs, and its boot state is proved to be what it was. */
async function expectHome(id: string): Promise<void> {
  await expectBack(site, id);
  expect(site.source.system).toBe("original");
  const { whereabouts, attested } = await site.cutover(id);
  expect(whereabouts).toMatchObject({ location: "original", bootState: "confirmed" });
  expect(attested?.receipt.content).toMatchObject({ conversionId: id, outcome: "equal" });
  const shown = await site.api("GET /cutovers/{id}/receipt", id);
  expect(shown).toMatchObject({
    ...{ status: 200, body: { conversionId: id, receipt: attested?.receipt, proof: { state: "not-asked" } } },
  });
  expect(await sourceAway(id)).toBeUndefined();
}

test("in its window the source restarts into the boot environment, is read there, and is switched off after the commit", async () => {
  const id = await create();
  expect(await site.cutover(id)).toMatchObject({ state: "waiting", quiesce: "cold", switchSourceOff: true });
  await site.passUntil("01:02");
  const cutover = await site.cutover(id);
  expect(cutover.failure).toBeUndefined();
  expect(cutover).toMatchObject({ state: "completed", sourceOff: "announced" });
  expect(site.commands).toEqual([
    ...["take-recovery-point", "apply-to-standby", "stage-boot-image baseline"],
    ...["take-recovery-point", "apply-to-standby", "stage-boot-image pre-sync"],
    ...["set-fence up", "arm-boot", "reboot boot-environment", "report-boot-state"],
    ...["take-recovery-point", "apply-to-standby", "set-fence lasting", "clone-standby", "define-machine"],
    ...["bring-up-machine", "set-fence lasting", "switch-off", "connect-machine"],
  ]);
  expect(site.inputs["arm-boot"]).toMatchObject({
    conversionId: id,
    fence: { term: 1 },
    deadlineSeconds: 600,
  });
  expect(site.inputs["arm-boot"]?.idleSeconds).toBeGreaterThan(3600);
  expect(site.source.system).toBe("off");
  expect(site.fence).toEqual({ term: 1, isUp: true });
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id });
  expect(await sourceAway(id)).toBeUndefined();
});

test("a source that is started by hand after the commit is fenced, and proves its boot state", async () => {
  const id = await create();
  await site.passUntil("01:02");
  await site.start("original");
  expect(site.source.serves).toBe(false);
  expect((await site.cutover(id)).attested?.receipt.content.outcome).toBe("equal");
});

test.each([
  ["set-fence up", []],
  ["arm-boot", []],
  ["reboot boot-environment", []],
  ["report-boot-state", []],
  ["take-recovery-point", ["done", "done"]],
  ["apply-to-standby", ["done", "done"]],
  ["set-fence lasting", []],
  ["set-fence lasting", ["done"]],
  ["clone-standby", []],
  ["define-machine", []],
  ["bring-up-machine", []],
] as const)(
  "if %s fails in the outage after %j, the source serves again in its own system",
  async (key, before) => {
    site.acts = { [key]: [...before, { fails: "SomeAgentError" }] };
    const id = await create();
    await site.passUntil("01:30");
    await expectHome(id).catch(async (error: unknown) => {
      // A source that was never armed has nothing to prove.
      if (!["set-fence up"].includes(key)) throw error;
      await expectBack(site, id);
    });
    expect((await site.cutover(id)).failure?.message).toContain("SomeAgentError");
  },
);

test.each([
  ["quiescing", "arm-boot", []],
  ["quiescing", "report-boot-state", []],
  ["final-sync", "take-recovery-point", ["done", "done"]],
  ["checking", "clone-standby", []],
  ["checking", "bring-up-machine", []],
] as const)(
  "if the window closes while it is %s (%s), the source is back in its own system by then",
  async (state, key, before) => {
    site.acts = { [key]: [...before, "silent"] };
    const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "01:12", timeZone: "UTC" }];
    const id = await create({ windows });
    await site.passUntil("01:09");
    expect(await site.cutover(id)).toMatchObject({ state, deadlineAt: "2030-01-01T01:10:00.000Z" });
    await site.passUntil("01:12");
    expect((await site.cutover(id)).failure?.name).toBe("WindowClosedError");
    await expectHome(id);
  },
);

test.each([
  ["reboot boot-environment", []],
  ["set-fence lasting", []],
  ["set-fence lasting", ["done"]],
] as const)(
  "a source that does not answer %s after %j in time is rolled back, not waited for",
  async (key, before) => {
    site.acts = { [key]: [...before, "silent"] };
    const id = await create();
    await site.passUntil("01:03");
    expect((await site.cutover(id)).failure?.name).toBe("StepTimedOutError");
    await expectHome(id);
  },
);

test("a boot environment that does not come up leads back as soon as the source's own system reports", async () => {
  site.restartsInto = () => "original";
  const id = await create();
  await site.passUntil("01:01");
  expect((await site.cutover(id)).failure?.name).toMatch(/^BootEnvironment(Silent|Left)Error$/);
  await expectHome(id);
});

test("a source that hangs in its restart is rolled back, raises an alarm, and serves once it is back", async () => {
  site.restartsInto = () => "none";
  const id = await create();
  await site.passUntil("03:00");
  expect(await site.cutover(id)).toMatchObject({
    ...{ state: "rolled-back", sourceServes: "unknown", failure: { name: "BootEnvironmentSilentError" } },
    whereabouts: { location: "unknown", bootState: "armed" },
  });
  expect(await site.lease()).toMatchObject({ state: "none" });
  expect(await sourceAway(id)).toMatchObject({
    state: "open",
    cause: expect.stringContaining(`Cutover ${id}`),
  });
  await site.start("original");
  expect(site.source.serves).toBe(true);
  expect(await sourceAway(id)).toMatchObject({ state: "cleared" });
});

test("a source that leaves its boot environment before the commit comes back fenced, and serves after the rollback", async () => {
  site.acts = { "bring-up-machine": ["silent"] };
  const id = await create();
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "checking" });
  await site.start("original");
  await site.passUntil("01:03");
  expect((await site.cutover(id)).failure?.name).toBe("BootEnvironmentLeftError");
  await expectHome(id);
});

test("a source that leaves its boot environment while it is read serves again at once", async () => {
  site.acts = { "take-recovery-point": ["done", "done", "silent"] };
  const id = await create();
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "final-sync" });
  await site.start("original");
  expect(site.source.serves).toBe(true);
  await site.passUntil("01:02");
  await expectHome(id);
});

test("a boot environment that a cutover has left behind restarts into the source's own system when it connects", async () => {
  site.restartsInto = () => "none";
  await create();
  await site.passUntil("03:00");
  site.restartsInto = (wanted) => wanted;
  await site.start("boot-environment");
  expect(site.source.system).toBe("original");
  expect(site.source.serves).toBe(true);
});

test("a source that cannot be restarted unattended gets no cold cutover, and one that no longer can is not touched", async () => {
  const { agents } = site.world.store;
  const verdict = (bootLoader: "attended" | "unattended") =>
    agents.modify("agt_source", (source) => {
      if (!source.inventory?.return) throw new Error("it reports how it starts");
      const judged = { verdict: bootLoader, reason: "its menu waits without end" };
      return {
        ...source,
        inventory: { ...source.inventory, return: { ...source.inventory.return, bootLoader: judged } },
      };
    });
  await verdict("attended");
  await expect(create()).rejects.toThrow(/PreflightFailedError.*waits without end/s);
  await expect(create({ accept: ["starts-first"] })).rejects.toThrow(/accept/);
  const id = await create({ accept: ["starts-unattended"], mode: "hold" });
  expect(site.inputs["stage-boot-image baseline"]).toMatchObject({
    accept: ["starts-unattended"],
    fenced: true,
  });
  await site.api("POST /cutovers/{id}/cancel", id);
  await verdict("unattended");
  const other = await create();
  await verdict("attended");
  await site.passUntil("01:01");
  expect(await site.cutover(other)).toMatchObject({
    ...{ state: "rolled-back", failure: { name: "PreflightFailedError" } },
    whereabouts: { location: "original", bootState: "untouched" },
  });
  expect(site.commands).not.toContain("set-fence up");
});

test("what the source's agent refuses before the window ends the cutover there", async () => {
  site.acts = { "stage-boot-image baseline": [{ fails: "ReturnNotFencedError" }] };
  const id = await create();
  expect(await site.cutover(id)).toMatchObject({
    state: "failed",
    failure: { name: "ReturnNotFencedError" },
  });
});

test("rules of a restart are not accepted for a source that keeps running", async () => {
  await expect(site.create({ accept: ["starts-unattended"] })).rejects.toThrow(/its source is not restarted/);
});
