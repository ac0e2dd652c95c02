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
 * Stores what a drill's boot check found, notes the verdict on the recovery point's record, and raises or
 * clears the alarm of the plan that scheduled it. The clone is removed afterwards. Repeating it changes
 * nothing. Throws `DrillCancelledError` if the drill was cancelled.
 */
export async function run(
  { drillId, bootCheck }: z.output<typeof Input>,
  deps: ReportDeps,
): Promise<{ verdict: BootCheck["verdict"] }> {
  const { store, clock } = deps;
  const now = timestamp(clock);
  const drill = await store.drills.modify(drillId, (one) => judgedDrill(one, bootCheck, now));
  const { pointId, judgedAt: at = now, result: { verdict, seconds } = bootCheck } = drill;
  await store.points.noteBootTest(pointId, { drillId, verdict, at });
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
