/** What a client meets that sees a cutover end, and acts at once. */
import { beforeEach, expect, test } from "vitest";
import { cutoverHasEnded } from "#shared/domain/cutover/cutover.ts";
import { CutoverSite } from "../testing/cutover-site.ts";

let site: CutoverSite;
/** What is known at the moment in which the cutover counts as ended. */
let seen: { sourceOff?: string; removal?: string | undefined; alarm?: string; plan?: string }[];

const alarmOf = (id: string) => site.world.store.alarms.find({ kind: "cutover-held", subject: id });

beforeEach(async () => {
  site = await CutoverSite.start();
  seen = [];
  const { cutovers, plans } = site.world.store;
  const modify = cutovers.modify.bind(cutovers);
  cutovers.modify = async (...given) => {
    const changed = await modify(...given);
    if (!cutoverHasEnded(changed) || seen.length > 0) return changed;
    const { sourceOff, removal, planId, id } = changed;
    const { cause } = (await alarmOf(id)) ?? {};
    const { state: plan } = await plans.get(planId);
    seen.push({
      plan,
      removal: removal?.state,
      ...(sourceOff && { sourceOff }),
      ...(cause && { alarm: cause }),
    });
    return changed;
  };
});

test("a cutover that is completed says at once whether the source shuts down, and its plan is paused", async () => {
  site.acts = { "switch-off": ["silent"] };
  await site.create({ switchSourceOff: true });
  await site.passUntil("01:10");
  expect(seen).toEqual([
    {
      sourceOff: "unknown",
      plan: "paused",
      alarm: expect.stringContaining("unknown whether the source is off"),
    },
  ]);
});

test("a cutover that is rolled back has its alarm, and its machine is being removed", async () => {
  site.acts = { "bring-up-machine": [{ fails: "MachineSilentError" }] };
  await site.create();
  await site.passUntil("01:02");
  expect(seen).toEqual([
    { removal: "asked", plan: "active", alarm: expect.stringContaining("was rolled back") },
  ]);
});

test("a cutover that fails after its commit is shown with what its source said, before its end is noted", async () => {
  site.acts = { "switch-off": ["silent"], "connect-machine": [{ fails: "LeaseEndedError" }] };
  const id = await site.create({ switchSourceOff: true });
  const shown: unknown[] = [];
  site.before.EndCutover = async () => shown.push((await site.ask("GET /cutovers/{id}", id)).body);
  await site.passUntil("01:10");
  expect(shown[0]).toMatchObject({ state: "failed", sourceOff: "unknown" });
});

test("a cutover whose alarm cannot be sent has ended all the same, and the alarm is sent by the repetition", async () => {
  site.acts = { "bring-up-machine": [{ fails: "MachineSilentError" }] };
  const id = await site.create();
  site.before.EndCutover = async () => site.world.outage.strike("publish");
  await site.passUntil("01:05");
  expect(await site.cutover(id)).toMatchObject({ state: "rolled-back" });
  expect(site.world.topic.notices).toContain(`raised cutover-held ${id}`);
});
