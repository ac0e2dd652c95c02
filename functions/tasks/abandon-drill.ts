import { z } from "zod";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import type { DrillState } from "#shared/protocol/drill.ts";
import { DrillId } from "#shared/protocol/ids.ts";
import { buildCommanding } from "../conversion/build.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { abandonDrill } from "../drill/end-drill.ts";
import { taskHandler } from "../middleware/task-handler.ts";

export const Input = z.object({ drillId: DrillId, error: WorkflowError });

export const handler = taskHandler({
  name: "tasks/abandon-drill",
  input: Input,
  build: buildCommanding,
  run,
});

/** Ends a drill whose workflow failed or was cancelled. Repeating it changes nothing. */
export async function run(
  { drillId, error }: z.output<typeof Input>,
  deps: CommandDeps,
): Promise<{ state: DrillState; failure: Failure }> {
  const { state } = await abandonDrill(drillId, error, deps);
  return { state, failure: workflowFailure(error) };
}
