import * as z from "zod";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import { RecoveryId } from "#shared/protocol/ids.ts";
import type { RecoveryState } from "#shared/protocol/recovery.ts";
import { buildCommanding } from "../conversion/build.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { abandonRecovery } from "../recovery/end-recovery.ts";

export const Input = z.object({ recoveryId: RecoveryId, error: WorkflowError });

export const handler = taskHandler({
  name: "tasks/abandon-recovery",
  input: Input,
  build: buildCommanding,
  run,
});

/** Ends a recovery whose workflow failed or was cancelled. Repeating it changes nothing. */
export async function run(
  { recoveryId, error }: z.output<typeof Input>,
  deps: CommandDeps,
): Promise<{ state: RecoveryState; failure: Failure }> {
  const { state } = await abandonRecovery(recoveryId, error, deps);
  return { state, failure: workflowFailure(error) };
}
