import { beforeEach, expect, test } from "vitest";
import { aConversion } from "#shared/domain/testing/records.ts";
import { CutoverSite } from "../testing/cutover-site.ts";

let site: CutoverSite;

const notices = () => site.world.topic.notices.filter((notice) => notice.includes("cutover"));

beforeEach(async () => {
  site = await CutoverSite.start();
});

test.each([
  ["pre-sync", { "take-recovery-point": ["done", "silent"] }],
  ["final-sync", { "take-recovery-point": ["done", "done", "silent"] }],
  ["checking", { "clone-standby": ["silent"] }],
] as const)("if the event of the deadline is lost, %s ends with it all the same", async (state, acts) => {
  site.acts = Object.fromEntries(Object.entries(acts).map(([key, story]) => [key, [...story]]));
  let calls = 0;
  site.fate = () => (calls++ === 0 ? 1 : 0);
  const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "01:20", timeZone: "UTC" }];
  const id = await site.create({ windows });
  await site.passUntil("01:17");
  expect(await site.cutover(id)).toMatchObject({ state });
  await site.passUntil("01:21");
  expect(await site.cutover(id)).toMatchObject({
    state: "rolled-back",
    failure: { name: "WindowClosedError" },
  });
  expect(site.fence.isUp).toBe(false);
});

test.each([
  ["an hour is missing", "2030-03-31", "2030-03-31T00:30:00.000Z", "2030-03-31T01:28:00.000Z"],
  ["an hour comes twice", "2030-10-27", "2030-10-26T23:30:00.000Z", "2030-10-27T02:28:00.000Z"],
])(
  "in a night in which %s, it begins and is rolled back by the clock on the wall",
  async (_, firstDay, opensAt, deadlineAt) => {
    site.acts = { "clone-standby": ["silent"] };
    const windows = [{ firstDay, from: "01:30", to: "03:30", timeZone: "Europe/Vienna" }];
    const id = await site.create({ windows });
    const until = (at: string, seconds: number) => site.pass(Date.parse(at) - site.now + seconds * 1000);
    await until(opensAt, -5);
    expect(await site.cutover(id)).toMatchObject({ state: "waiting" });
    await until(opensAt, 30);
    expect(await site.cutover(id)).toMatchObject({ state: "checking", deadlineAt });
    await until(deadlineAt, -5);
    expect(await site.cutover(id)).toMatchObject({ state: "checking" });
    await until(deadlineAt, 90);
    expect(await site.cutover(id)).toMatchObject({
      ...{ state: "rolled-back", failure: { name: "WindowClosedError" } },
    });
    expect(site.fence.isUp).toBe(false);
  },
);

test("limits that were edited before it begins are those of its steps", async () => {
  const id = await site.create({ quiesceTimeoutSeconds: 3600 });
  const body = { quiesceTimeoutSeconds: 60, answerTimeoutSeconds: 700 };
  await site.api("PATCH /cutovers/{id}", id, { body });
  site.acts = { "bring-up-machine": ["silent"] };
  await site.passUntil("01:01");
  expect(site.inputs["bring-up-machine"]).toMatchObject({ timeoutSeconds: 700 });
  await site.api("POST /cutovers/{id}/rollback", id);
  site.acts = { "set-fence up": ["silent"] };
  const other = await site.create({ quiesceTimeoutSeconds: 3600, mode: "hold" });
  await site.api("PATCH /cutovers/{id}", other, { body });
  await site.api("POST /cutovers/{id}/go", other);
  await site.passUntil("01:04");
  expect(await site.cutover(other)).toMatchObject({ failure: { name: "StepTimedOutError" } });
});

test("one that has committed, and whose machine cannot be connected by its deadline, raises an alarm until it can", async () => {
  site.acts = { "connect-machine": ["silent"] };
  const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "01:20", timeZone: "UTC" }];
  const id = await site.create({ windows });
  await site.passUntil("01:17");
  expect(await site.cutover(id)).toMatchObject({ state: "committing" });
  expect(notices()).toEqual([]);
  await site.passUntil("01:19");
  expect(notices()).toEqual([`raised cutover-held ${id}`]);
  site.acts = {};
  await site.passUntil("01:23");
  expect(await site.cutover(id)).toMatchObject({ state: "completed" });
  expect(notices()).toEqual([`raised cutover-held ${id}`, `cleared cutover-held ${id}`]);
});

test("the opening of its first window is looked at already while its baseline is made, which waits longer and longer", async () => {
  site.acts = { "take-recovery-point": ["silent"] };
  await site.world.store.agents.modify("agt_source", (one) => ({ ...one, heldBy: "cnv_1" }));
  await site.world.store.conversions.add(aConversion());
  const id = await site.create();
  expect(await site.cutover(id)).toMatchObject({ state: "baseline" });
  expect(site.world.timer.cutovers.get(id)).toBe(Date.UTC(2030, 0, 1, 1));
  const turns = () => site.states.payloads("BeginCutoverRun").length;
  expect(turns()).toBe(1);
  await site.passUntil("00:14");
  expect(turns()).toBe(2);
  await site.passUntil("00:16");
  expect(turns()).toBe(3);
});

test("an alarm that its forecast does not fit ends when it is cancelled", async () => {
  const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "01:03", timeZone: "UTC" }];
  const id = await site.create({ windows, marginSeconds: 150 });
  await site.passUntil("01:01");
  await site.api("POST /cutovers/{id}/cancel", id);
  await site.pass(15_000);
  expect(await site.cutover(id)).toMatchObject({ state: "cancelled" });
  expect(notices()).toEqual([`raised cutover-held ${id}`, `cleared cutover-held ${id}`]);
});
