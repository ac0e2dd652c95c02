import * as z from "zod";
import { completedDrill } from "#shared/domain/drill.ts";
import { DrillId } from "#shared/protocol/ids.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { buildStore } from "../store/build.ts";
import type { StoreDeps } from "../store/deps.ts";

export const Input = z.object({ drillId: DrillId });

export const handler = taskHandler({
  name: "tasks/finish-drill",
  input: Input,
  build: buildStore,
  run,
});

/**
 * Completes a drill whose verdict is recorded and whose clone is removed. Repeating it changes nothing.
 * Throws `DrillCancelledError` if the drill was cancelled.
 */
export async function run(
  { drillId }: z.output<typeof Input>,
  { store, clock }: StoreDeps,
): Promise<{ state: "completed" }> {
  const now = timestamp(clock);
  const drill = await store.drills.modify(drillId, (one) => completedDrill(one, now));
  await store.audit.addOnce({
    at: drill.endedAt ?? now,
    actor: "causeway",
    action: "drill-completed",
    subject: drillId,
    outcome: "done",
    details: { pointId: drill.pointId, verdict: drill.result?.verdict },
  });
  return { state: "completed" };
}
