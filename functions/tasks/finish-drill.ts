import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
import { completedDrill } from "#shared/domain/drill.ts";
import { DrillId } from "#shared/protocol/ids.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { Clock } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const Input = z.object({ drillId: DrillId });

export const handler = taskHandler({
  name: "tasks/finish-drill",
  input: Input,
  build: ({ TABLE_NAME }, { clock, random }): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    clock,
  }),
  run,
});

interface Deps {
  store: Store;
  clock: Clock;
}

/**
 * Completes a drill whose verdict is recorded and whose clone is removed. Repeating it changes nothing.
 * Throws `DrillCancelledError` if the drill was cancelled.
 */
export async function run(
  { drillId }: z.output<typeof Input>,
  { store, clock }: Deps,
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
