import { beforeEach, expect, test } from "vitest";
import { aConversion } from "#shared/domain/testing/records.ts";
import { NewConversion } from "#shared/protocol/resources.ts";
import { startConversion } from "../conversion/start.ts";
import { beginRun } from "../protection/begin-run.ts";
import { CutoverSite } from "../testing/cutover-site.ts";
import { expectBack } from "../testing/expect-back.ts";

let site: CutoverSite;
/** Starts nothing. */
const none = { start: async () => "started" as const, isRunning: async () => true, stop: async () => {} };

const states = async (id: string) => (await site.cutover(id)).states.map(({ name }) => name);
const refused = (fields: object) => ({ status: 409, body: expect.objectContaining(fields) });

const notices = () => site.world.topic.notices.filter((notice) => notice.includes("cutover"));

beforeEach(async () => {
  site = await CutoverSite.start();
});

test("in its window a machine of the last recovery point runs in the source's place, and the source stays fenced", async () => {
  const id = await site.create();
  expect(await site.cutover(id)).toMatchObject({ state: "waiting" });
  await site.passUntil("01:01");
  const cutover = await site.cutover(id);
  expect(cutover.failure).toBeUndefined();
  expect(cutover).toMatchObject({ state: "completed", machine: { name: "pine-1" } });
  expect(cutover.states.map(({ name }) => name)).toEqual([
    ...["baseline", "waiting", "pre-sync", "quiescing", "final-sync", "checking", "committing", "completed"],
  ]);
  expect(cutover.runs.map(({ phase }) => phase)).toEqual(["baseline", "pre-sync", "final-sync"]);
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id, sourceOff: "fenced" });
  expect(site.commands).toEqual([
    ...["take-recovery-point", "apply-to-standby", "take-recovery-point", "apply-to-standby"],
    ...["set-fence up", "take-recovery-point", "apply-to-standby", "clone-standby", "define-machine"],
    ...["bring-up-machine", "set-fence lasting", "connect-machine"],
  ]);
  expect((await site.api("GET /cutovers/{id}", id)).body).toMatchObject({
    disks: [{ name: "vda", path: "/clones/vda.raw", format: "raw" }],
  });
  expect(site.machine).toEqual({ isOn: true, isConnected: true });
  expect(site.fence).toEqual({ term: 1, isUp: true });
  expect(await site.world.store.plans.get(cutover.planId)).toMatchObject({ state: "paused" });
  expect(site.world.timer.cutovers.size).toBe(0);
  expect(site.workflowOf(id).status).toBe("SUCCEEDED");
});

test.each([
  ["set-fence up", "FenceIncompleteError", ["done"]],
  ["take-recovery-point", "DiskNotFoundError", ["done", "done"]],
  ["apply-to-standby", "StandbyNotOursError", ["done", "done"]],
  ["clone-standby", "DiskFullError", []],
  ["define-machine", "MachineUnsupportedError", []],
  ["adapt-machine", "SystemNotAdaptedError", []],
  ["bring-up-machine", "MachineSilentError", []],
  ["set-fence lasting", "FenceIncompleteError", []],
] as const)("if %s fails in the outage with %s, the source serves again", async (key, error, before) => {
  site.acts = {
    "adapt-machine rehearsal": ["done"],
    [key]: key === "set-fence up" ? [{ fails: error }] : [...before, { fails: error }],
  };
  const id = await site.create({ adapt: key === "adapt-machine" });
  await site.passUntil("01:30");
  await expectBack(site, id);
  const { failure } = await site.cutover(id);
  expect(failure?.message).toContain(error);
  if (error === "FenceIncompleteError") expect(failure?.hint).toContain("stop none of them");
  expect(await states(id)).toContain("quiescing");
});

test.each([
  ["pre-sync", "take-recovery-point", ["done", "silent"]],
  ["quiescing", "set-fence up", ["silent"]],
  ["final-sync", "take-recovery-point", ["done", "done", "silent"]],
  ["checking", "clone-standby", ["silent"]],
  ["checking", "define-machine", ["silent"]],
  ["checking", "adapt-machine", ["silent"]],
  ["checking", "bring-up-machine", ["silent"]],
] as const)(
  "if the window closes while it is %s (%s), the source serves again before that",
  async (state, key, acts) => {
    site.acts = { "adapt-machine rehearsal": ["done"], [key]: [...acts] };
    const id = await site.create({ quiesceTimeoutSeconds: 3600, adapt: key === "adapt-machine" });
    await site.passUntil("01:57");
    expect(await site.cutover(id)).toMatchObject({ state, deadlineAt: "2030-01-01T01:58:00.000Z" });
    await site.passUntil("02:00");
    const cutover = await site.cutover(id);
    expect(cutover).toMatchObject({ state: "rolled-back", failure: { name: "WindowClosedError" } });
    expect(site.fence.isUp).toBe(false);
    expect(await site.lease()).toMatchObject({ state: "none" });
  },
);

test("a source that is not quiet in time is rolled back, not waited for", async () => {
  site.acts = { "set-fence up": ["silent"] };
  const id = await site.create({ quiesceTimeoutSeconds: 60 });
  await site.passUntil("01:02");
  await expectBack(site, id);
  expect(await site.cutover(id)).toMatchObject({
    failure: {
      name: "StepTimedOutError",
      message: expect.stringContaining("within 60 s that its services are stopped"),
      hint: expect.stringContaining("create another cutover"),
    },
  });
});

test("in hold nothing begins by itself, and go begins it only while a window is open", async () => {
  const id = await site.create({ mode: "hold" });
  expect(await site.api("POST /cutovers/{id}/go", id)).toMatchObject(
    refused({
      detail: expect.stringContaining("no window"),
      hint: expect.stringContaining("2030-01-01T01:00"),
    }),
  );
  await site.passUntil("01:10");
  expect(await site.cutover(id)).toMatchObject({ state: "waiting" });
  expect((await site.api("POST /cutovers/{id}/go", id)).status).toBe(202);
  await site.passUntil("01:11");
  expect(await site.cutover(id)).toMatchObject({ state: "completed", go: { by: "ada" } });
});

test("it begins only once a second person has approved it as it is", async () => {
  const id = await site.create({ needsApproval: true });
  const approve = (user: string, version = 1) =>
    site.api("POST /cutovers/{id}/approve", id, { as: { user }, body: { version } });
  expect(await approve("ada")).toMatchObject(refused({ hint: "Another person has to approve it." }));
  expect((await approve("bob")).body).toMatchObject({ approved: { by: "bob" } });
  const edited = await site.api("PATCH /cutovers/{id}", id, {
    body: { marginSeconds: 300 },
    as: { user: "bob" },
  });
  expect(edited.body).not.toHaveProperty("approved");
  expect(edited.body).toMatchObject({ version: 2 });
  await site.passUntil("01:05");
  expect(await site.cutover(id)).toMatchObject({ state: "waiting" });
  expect(await approve("bob", 2)).toMatchObject({ status: 409 });
  expect(await approve("eve")).toMatchObject(refused({ name: "CutoverEditedError" }));
  expect((await approve("eve", 2)).status).toBe(200);
  await site.passUntil("01:06");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});

test("one that waits is held, edited or cancelled, and the source is not touched", async () => {
  const id = await site.create();
  expect(await site.api("POST /cutovers/{id}/rollback", id)).toMatchObject(
    refused({ hint: expect.stringContaining("causeway cutover cancel") }),
  );
  expect((await site.api("POST /cutovers/{id}/hold", id)).body).toMatchObject({ mode: "hold" });
  await site.passUntil("01:10");
  const windows = [{ firstDay: "2030-01-01", from: "03:00", to: "04:00", timeZone: "UTC" }];
  const body = { windows, mode: "automatic" };
  expect((await site.api("PATCH /cutovers/{id}", id, { body })).body).toMatchObject({
    window: { opensAt: "2030-01-01T03:00:00.000Z" },
  });
  expect(site.world.timer.cutovers.get(id)).toBe(Date.UTC(2030, 0, 1, 3));
  for (let times = 0; times < 2; times++)
    expect((await site.api("POST /cutovers/{id}/cancel", id)).status).toBe(202);
  await site.passUntil("03:01");
  expect(await site.cutover(id)).toMatchObject({ state: "cancelled" });
  expect(await site.api("POST /cutovers/{id}/rollback", id)).toMatchObject(
    refused({ hint: expect.stringContaining("before it touched the source") }),
  );
  expect(site.workflowOf(id)).toMatchObject({ status: "FAILED", error: "CutoverStoppedError" });
  expect(site.commands.filter((key) => key.startsWith("set-fence"))).toEqual([]);
});

test("an operator rolls one back that has begun, and another one copies nothing again", async () => {
  site.acts = { "bring-up-machine": ["silent", "done"] };
  const id = await site.create();
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "checking" });
  expect(await site.api("POST /cutovers/{id}/cancel", id)).toMatchObject(
    refused({ hint: expect.stringContaining("causeway cutover rollback") }),
  );
  for (let times = 0; times < 2; times++) await site.api("POST /cutovers/{id}/rollback", id);
  await site.passUntil("01:02");
  await expectBack(site, id);
  const late = await site.api("POST /cutovers/{id}/cancel", id);
  expect(late).toMatchObject(
    refused({ detail: expect.stringContaining("is rolled-back, so this is too late") }),
  );
  const next = await site.create();
  await site.passUntil("01:03");
  expect(await site.cutover(next)).toMatchObject({ state: "completed" });
  expect((await site.cutover(next)).runs.map(({ phase }) => phase)).toEqual(["pre-sync", "final-sync"]);
});

test("a target host that is away when it is rolled back keeps the source waiting no longer than its lease", async () => {
  site.acts = {
    "bring-up-machine": [{ fails: "MachineSilentError" }],
    "power-machine off": ["silent"],
  };
  const id = await site.create();
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "rolling-back" });
  expect(site.fence.isUp).toBe(true);
  await site.pass(15_000);
  expect(site.fence.isUp).toBe(false);
  expect(await site.lease()).toMatchObject({ state: "none" });
});

test("it is unknown whether a source serves again that does not say so", async () => {
  site.acts = { "clone-standby": [{ fails: "DiskFullError" }], "set-fence down": ["silent"] };
  const id = await site.create();
  await site.passUntil("02:00");
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back", sourceServes: "unknown" });
});

test("a source that is fenced for a later lease is not said to serve again", async () => {
  site.acts = { "clone-standby": [{ fails: "DiskFullError" }] };
  site.lasts = ({ isUp, lasting }) => (isUp ? { lasting } : { isUp: true, term: 2 });
  const id = await site.create();
  await site.passUntil("02:00");
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back", sourceServes: "unknown" });
});

test("calls of the timer that come twice change nothing, and one that is lost costs a window, not the cutover", async () => {
  let calls = 0;
  site.fate = () => [0, 2, 2][calls++] ?? 1;
  const window = {
    firstDay: "2030-01-01",
    lastDay: "2030-01-02",
    from: "01:00",
    to: "02:00",
    timeZone: "UTC",
  };
  const id = await site.create({ windows: [window] });
  await site.passUntil("02:30");
  expect(await site.cutover(id)).toMatchObject({ state: "waiting" });
  await site.passUntil("25:01");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});

test("a machine that answers after the deadline gets no right to run, although the timer's call was lost", async () => {
  site.acts = { "bring-up-machine": [...Array<"silent">(9).fill("silent"), "done"] };
  let calls = 0;
  site.fate = () => (calls++ === 0 ? 1 : 0);
  const id = await site.create({
    windows: [{ firstDay: "2030-01-01", from: "01:00", to: "01:20", timeZone: "UTC" }],
  });
  await site.passUntil("01:40");
  await expectBack(site, id);
  expect(await site.cutover(id)).toMatchObject({ failure: { name: "WindowClosedError" } });
});

test("a forecast that does not fit holds it back with an alarm, and refuses a go", async () => {
  const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "01:03", timeZone: "UTC" }];
  const id = await site.create({ windows, marginSeconds: 150 });
  await site.passUntil("01:00");
  const cutover = await site.cutover(id);
  expect(cutover).toMatchObject({
    state: "waiting",
    forecast: { fits: false },
    heldBack: { why: cutover.forecast?.advice },
  });
  expect(notices()).toEqual([`raised cutover-held ${id}`]);
  expect(await site.api("POST /cutovers/{id}/go", id)).toMatchObject(
    refused({ hint: cutover.forecast?.advice }),
  );
  const edit = { windows: [{ ...windows[0], to: "02:00" }] };
  await site.api("PATCH /cutovers/{id}", id, { body: edit });
  await site.passUntil("01:02");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
  expect(notices()).toEqual([`raised cutover-held ${id}`, `cleared cutover-held ${id}`]);
});

test("one that no person let begin says so once its last window has closed, until it is edited or cancelled", async () => {
  const id = await site.create({ mode: "hold" });
  await site.passUntil("02:01");
  expect(await site.cutover(id)).toMatchObject({ state: "waiting" });
  expect(notices()).toEqual([`raised cutover-held ${id}`]);
  const windows = [{ firstDay: "2030-01-02", from: "01:00", to: "02:00", timeZone: "UTC" }];
  await site.api("PATCH /cutovers/{id}", id, { body: { windows } });
  expect(notices()).toEqual([`raised cutover-held ${id}`, `cleared cutover-held ${id}`]);
});

test("after its workflow was stopped, another one undoes what it did", async () => {
  site.acts = { "clone-standby": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:01");
  expect(site.fence.isUp).toBe(true);
  await site.deps.cutovers.stop(id);
  await site.api("POST /cutovers/{id}/rollback", id);
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back", sourceServes: "yes" });
  expect(site.fence.isUp).toBe(false);
});

test("one that waits without its workflow, which was stopped, gets another one, and begins", async () => {
  const id = await site.create();
  await site.deps.cutovers.stop(id);
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
});

test("one whose workflow was stopped after the commit ends as failed, and its machine keeps the right to run", async () => {
  site.acts = { "connect-machine": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:01");
  await site.deps.cutovers.stop(id);
  await site.passUntil("01:59");
  expect(await site.cutover(id)).toMatchObject({
    state: "failed",
    failure: { name: "WorkflowInterruptedError" },
  });
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id });
});

test("after the commit nothing is undone, also if the machine does not answer on its network", async () => {
  site.acts = { "bring-up-machine connected": [{ fails: "MachineSilentError" }] };
  const id = await site.create({ check: { kind: "tcp", host: "192.0.2.7", port: 5432 } });
  await site.passUntil("01:01");
  expect(await site.cutover(id)).toMatchObject({ state: "failed", failure: { name: "MachineSilentError" } });
  expect(await site.lease()).toMatchObject({ state: "permanent", ownerId: id });
  expect(site.fence.isUp).toBe(true);
  expect(notices()).toEqual([`raised cutover-held ${id}`]);
  expect(await site.api("POST /cutovers/{id}/rollback", id)).toMatchObject({ status: 409 });
});

test("while it is under way, the plan begins no runs, no conversion takes the source, and then both may", async () => {
  site.acts = { "bring-up-machine": ["silent"] };
  const id = await site.create();
  await site.passUntil("01:01");
  const { deps } = site;
  const plan = await deps.store.plans.get((await site.cutover(id)).planId);
  const runNow = () =>
    beginRun(plan, { dueAt: site.now, trigger: "schedule", requestedBy: "ada" }, { ...deps, workflow: none });
  expect(await runNow()).toMatchObject({ state: "skipped", reason: expect.stringContaining(id) });
  const convert = () =>
    startConversion(
      NewConversion.parse({ type: "hot", sourceId: "agt_source", targetId: "agt_target" }),
      { id: "cnv_1", pointId: "rp_9", requestedBy: "ada" },
      { ...deps, workflow: none },
    );
  await expect(convert()).rejects.toMatchObject({ hint: expect.stringContaining("cutover rollback") });
  await site.api("POST /cutovers/{id}/rollback", id);
  await site.pass(60_000);
  expect(await runNow()).toMatchObject({ state: "running" });
  await expect(convert()).rejects.toThrow("held by protection run");
});

test.each([
  ["areas of the source could not be read", { badRanges: 1 }],
  ["its parts are of different times", { consistency: "not" }],
  ["it has another disk", { name: "vdb" }],
])("a final copy of which it is known that %s is not cut over to", async (_, taken) => {
  const id = await site.create();
  site.before.MoveCutoverLease = async () => {
    site.taken = taken;
  };
  await site.passUntil("01:30");
  await expectBack(site, id);
  expect(site.commands).not.toContain("clone-standby");
});

test("a plan that copies other disks than the machine is to have leaves the source serving", async () => {
  const id = await site.create();
  site.taken = { name: "vdb" };
  await site.passUntil("01:30");
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back" });
  expect(site.commands.filter((key) => key.startsWith("set-fence"))).toEqual([]);
});

test("a conversion that takes the source in the outage leads back at once", async () => {
  const id = await site.create();
  site.acts = { "set-fence up": ["silent"] };
  await site.passUntil("01:01");
  await site.world.store.conversions.add(aConversion());
  await site.world.store.agents.modify("agt_source", (one) => ({ ...one, heldBy: "cnv_1" }));
  site.acts = {};
  await site.connect("agt_source");
  await site.pass(30_000);
  await expectBack(site, id);
  expect((await site.cutover(id)).failure?.message).toContain("cnv_1 holds source agt_source");
});

test("a source without a standby on the target host, or with another cutover, gets none", async () => {
  const id = await site.create();
  await expect(site.create()).rejects.toThrow(`cutover ${id} of source agt_source has not ended`);
  await site.world.store.plans.modify(
    (await site.cutover(id)).planId,
    ({ standbyTargetId: _, ...one }) => one,
  );
  await expect(site.create()).rejects.toThrow("--standby agt_target");
});
