import fc from "fast-check";
import { expect, test } from "vitest";
import { type Act, CutoverSite } from "../testing/cutover-site.ts";

/** `npm run fuzz` tries more. */
const RUNS = 10;

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: fc.constant("done" as const) },
  { weight: 2, arbitrary: fc.constant("silent" as const) },
  { weight: 2, arbitrary: fc.constant({ fails: "SomeAgentError" }) },
);
const story = fc.array(act, { maxLength: 3 });
/** A source that serves says so in the end, because it connects in the end. */
const acts = fc.record(
  {
    ...{ "set-fence up": story, "take-recovery-point": story, "apply-to-standby": story },
    ...{ "clone-standby": story, "define-machine": story, "bring-up-machine": story },
    ...{ "connect-machine": story, "power-machine off": story, "remove-machine": story },
    "set-fence down": story.map((before) => [...before, "done" as const]),
  },
  { requiredKeys: [] },
);
const happenings = fc.array(
  fc.record({
    minute: fc.integer({ min: 55, max: 125 }),
    what: fc.constantFrom(
      ...(["go", "hold", "approve", "cancel", "rollback", "edit", "stop"] as const),
      ...(["source connects", "target connects"] as const),
    ),
  }),
  { maxLength: 5 },
);
const conditions = fc.record({
  acts,
  happenings,
  mode: fc.constantFrom("automatic" as const, "automatic" as const, "hold" as const),
  needsApproval: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.boolean()),
  calls: fc.array(fc.nat(2), { maxLength: 3 }),
});

async function happen(site: CutoverSite, id: string, what: string): Promise<void> {
  const windows = [{ firstDay: "2030-01-01", from: "01:00", to: "02:30", timeZone: "UTC" }];
  if (what === "stop") await site.deps.cutovers.stop(id);
  else if (what === "source connects") await site.connect("agt_source");
  else if (what === "target connects") await site.connect("agt_target");
  else if (what === "edit") await site.api("PATCH /cutovers/{id}", id, { body: { windows } });
  else if (what === "approve")
    await site.api("POST /cutovers/{id}/approve", id, {
      as: { user: "bob" },
      body: { version: (await site.cutover(id)).edition },
    });
  else await site.api(`POST /cutovers/{id}/${what}`, id);
}

/** One has the right to run, and that one serves, unless it was stopped in the last step. */
async function expectOne(site: CutoverSite, id: string): Promise<void> {
  const cutover = await site.cutover(id);
  const lease = await site.lease();
  const committed = cutover.states.find(({ name }) => name === "committing");
  if (lease.state === "permanent") {
    expect(site.fence.isUp).toBe(true);
    expect(committed?.at.localeCompare(cutover.deadlineAt ?? "")).toBe(-1);
    expect(["committing", "completed", "failed"]).toContain(cutover.state);
  } else {
    expect(lease.state).toBe("none");
    expect(site.fence.isUp).toBe(false);
    expect(site.machine.isConnected).toBe(false);
    expect(["baseline", "waiting", "rolled-back", "cancelled", "failed"]).toContain(cutover.state);
  }
  if (cutover.state === "completed") expect(site.machine).toEqual({ isOn: true, isConnected: true });
}

test("whatever fails, is late, lost or repeated: never two serve, the deadline is kept, and nothing is copied again", async () => {
  await fc.assert(
    fc.asyncProperty(conditions, async ({ acts: wanted, happenings: all, mode, needsApproval, calls }) => {
      const site = await CutoverSite.start();
      site.acts = wanted;
      site.fate = () => calls.shift() ?? 1;
      const id = await site.create({ mode, needsApproval });
      for (const { minute, what } of all.toSorted((a, b) => a.minute - b.minute)) {
        await site.passUntil(`0:${minute}`);
        await happen(site, id, what);
      }
      await site.passUntil("03:00");
      // By now every timer that was lost, and every workflow that was stopped, was noticed by a person.
      await site.api(`POST /cutovers/{id}/rollback`, id);
      await site.passUntil("03:25");
      for (const agent of ["agt_source", "agt_target"]) await site.connect(agent);
      await expectOne(site, id);
      const { runs } = await site.cutover(id);
      const baselines = runs
        .filter(({ phase }) => phase === "baseline")
        .map((one) => site.world.store.runs.get(one.id));
      const copied = (await Promise.all(baselines)).filter(
        ({ result }) => result?.standby?.state === "applied",
      );
      expect(copied.length).toBeLessThanOrEqual(1);
    }),
    { numRuns: RUNS },
  );
});
