import * as z from "zod";
import { judgedDrill } from "#shared/domain/drill.ts";
import { BootCheck } from "#shared/protocol/drill.ts";
import { DrillId } from "#shared/protocol/ids.ts";
import { buildAlarming } from "../alarm/build.ts";
import { reportDrill } from "../alarm/drill-failed.ts";
import type { ReportDeps } from "../alarm/raise.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";

export const Input = z.object({ drillId: DrillId, bootCheck: BootCheck });

export const handler = taskHandler({
  name: "tasks/record-verdict",
  input: Input,
  build: buildAlarming,
  run,
});

/**
 * Notes the verdict of a drill's boot check on the recovery point's record, stores what it found, and raises
 * or clears the alarm of the plan that scheduled it. The clone is removed afterwards. Repeating it changes
 * nothing. Throws `DrillCancelledError` if the drill was cancelled.
 */
export async function run(
  { drillId, bootCheck }: z.output<typeof Input>,
  deps: ReportDeps,
): Promise<{ verdict: BootCheck["verdict"] }> {
  const { store, clock } = deps;
  const now = timestamp(clock);
  const judged = judgedDrill(await store.drills.get(drillId), bootCheck, now);
  const { pointId, judgedAt: at = now, result: { verdict, seconds } = bootCheck } = judged;
  // First: one that has a verdict is completed even if this is given up, and its point would lack it.
  await store.points.noteBootTest(pointId, { drillId, verdict, at });
  const drill = await store.drills.modify(drillId, (one) => judgedDrill(one, bootCheck, at));
  await store.audit.addOnce({
    at,
    actor: "causeway",
    action: "drill-judged",
    subject: drillId,
    outcome: "done",
    details: { pointId, verdict, seconds },
  });
  await reportDrill(drill, deps);
  return { verdict };
}
