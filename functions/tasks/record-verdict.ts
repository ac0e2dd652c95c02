import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { z } from "zod";
import { judgedDrill } from "#shared/domain/drill.ts";
import { BootCheck } from "#shared/protocol/drill.ts";
import { DrillId } from "#shared/protocol/ids.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { Clock } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const Input = z.object({ drillId: DrillId, bootCheck: BootCheck });

export const handler = taskHandler({
  name: "tasks/record-verdict",
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
 * Stores what a drill's boot check found, and notes the verdict on the recovery point's record. The clone is
 * removed afterwards. Repeating it changes nothing. Throws `DrillCancelledError` if the drill was cancelled.
 */
export async function run(
  { drillId, bootCheck }: z.output<typeof Input>,
  { store, clock }: Deps,
): Promise<{ verdict: BootCheck["verdict"] }> {
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
  return { verdict };
}
