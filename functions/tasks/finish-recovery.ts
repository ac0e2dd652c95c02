import * as z from "zod";
import { completedRecovery } from "#shared/domain/recovery.ts";
import { DefinedMachine, MachineAnswer } from "#shared/protocol/defined-machine.ts";
import { RecoveryId } from "#shared/protocol/ids.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { buildStore } from "../store/build.ts";
import type { StoreDeps } from "../store/deps.ts";

export const Input = z.object({ recoveryId: RecoveryId, machine: DefinedMachine, answer: MachineAnswer });

export const handler = taskHandler({
  name: "tasks/finish-recovery",
  input: Input,
  build: buildStore,
  run,
});

/**
 * Completes a recovery whose machine has answered, with the time that this took. Repeating it changes
 * nothing. Throws `RecoveryCancelledError` if the recovery was cancelled.
 */
export async function run(
  { recoveryId, machine, answer }: z.output<typeof Input>,
  { store, clock }: StoreDeps,
): Promise<{ state: "completed" }> {
  const now = timestamp(clock);
  const { pointId, rtoSeconds, endedAt } = await store.recoveries.modify(recoveryId, (one) =>
    completedRecovery(one, { machine, answer }, now),
  );
  await store.audit.addOnce({
    at: endedAt ?? now,
    actor: "causeway",
    action: "recovery-completed",
    subject: recoveryId,
    outcome: "done",
    details: { pointId, machine: machine.name, rtoSeconds },
  });
  return { state: "completed" };
}
