import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
import { completedDrill } from "#shared/domain/drill.ts";
import { BootCheck } from "#shared/protocol/drill.ts";
import { DrillId } from "#shared/protocol/ids.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { Clock } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const Input = z.object({ drillId: DrillId, bootCheck: BootCheck });

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
 * Completes a drill with what its boot check found, and notes the verdict on the recovery point's record.
 * Repeating it changes nothing. Throws `DrillCancelledError` if the drill was cancelled.
 */
export async function run(
  { drillId, bootCheck }: z.output<typeof Input>,
  { store, clock }: Deps,
): Promise<{ state: "completed" }> {
  const now = timestamp(clock);
  const drill = await store.drills.modify(drillId, (one) => completedDrill(one, bootCheck, now));
  const { pointId, endedAt: at = now, result: { verdict, seconds } = bootCheck } = drill;
  await store.points.noteBootTest(pointId, { drillId, verdict, at });
  await store.audit.addOnce({
    at,
    actor: "causeway",
    action: "drill-completed",
    subject: drillId,
    outcome: "done",
    details: { pointId, verdict, seconds },
  });
  return { state: "completed" };
}
