import { expect, test } from "vitest";
import type { Plan } from "#shared/protocol/protection.ts";
import { deletionText } from "./plan-deletion.ts";

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
