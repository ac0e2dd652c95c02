import { expect, onTestFinished, test } from "vitest";
import { newPlan } from "#shared/domain/protection/plan.ts";
import { planOf } from "#shared/domain/protection/plan-view.ts";
import { NewPlan, type Plan } from "#shared/protocol/protection.ts";
import { FakeApi } from "../testing/fake-api.ts";
import { recordedRun } from "../testing/recorded-run.ts";
import { deletionText } from "./plan-deletion.ts";

const shownPlan = planOf(
  newPlan(NewPlan.parse({ sourceId: "agt_1", intervalSeconds: 3600, standbyTargetId: "agt_2" }), {
    ...{ id: "plan_1", requestedBy: "ada", now: 0 },
  }),
  { lastRun: undefined, pointRun: undefined },
  0,
);
const plan = { id: "plan_1", sourceId: "agt_1", standbyTargetId: "agt_2" } as Plan;
const nothing = { plan, points: [], standby: null, waitsFor: null };

test("a plain deletion says that points and standby stay", () => {
  expect(deletionText({ ...nothing, dryRun: false })).toBe(
    "Plan plan_1 was deleted.\nThe recovery points of source agt_1 stay.\nThe standby on agt_2 stays.",
  );
});

test("a deletion that is only tried lists every point, the run and the standby", () => {
  const standby = { targetId: "agt_2", images: "left" } as const;
  const text = deletionText({ plan, points: ["rp_1", "rp_2"], standby, waitsFor: "run_1", dryRun: true });
  for (const part of ["rp_1", "rp_2", "run run_1 would be stopped", "would be forgotten", "by hand"])
    expect(text).toContain(part);
  expect(text.endsWith("Nothing was changed.")).toBe(true);
});

test.each([
  ["ordered", [], { code: 4, removed: false, said: "would remove its images" }],
  ["ordered", ["--dry-run"], { code: 0, removed: false, said: "Nothing was changed." }],
  ["ordered", ["--yes"], { code: 0, removed: true, said: "removes its images" }],
  ["left", [], { code: 0, removed: true, said: "remove them by hand" }],
  ["left", ["--dry-run"], { code: 0, removed: false, said: "Nothing was changed." }],
] as const)("a standby whose images are %s is forgotten with %j: %j", async (images, words, expected) => {
  const asked: string[] = [];
  const api = await FakeApi.start(({ method, path }) => {
    asked.push(`${method} ${path}`);
    const standby = { targetId: "agt_2", images };
    return path.includes("/standby")
      ? { plan: shownPlan, standby }
      : { dryRun: true, plan: shownPlan, points: [], standby, waitsFor: null };
  });
  onTestFinished(() => api.close());
  const { code, stdout } = await recordedRun(["plan", "plan_1", "forget-standby", ...words], api.environment);
  expect({ code, removed: asked.includes("DELETE /plans/plan_1/standby") }).toEqual({
    ...{ code: expected.code, removed: expected.removed },
  });
  expect(stdout).toContain(expected.said);
});
