import * as z from "zod";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import { RunId } from "#shared/protocol/ids.ts";
import type { RunState } from "#shared/protocol/protection.ts";
import { buildCommanding } from "../conversion/build.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { abandonRun } from "../protection/abandon-run.ts";

export const Input = z.object({ runId: RunId, error: WorkflowError });

export const handler = taskHandler({
  name: "tasks/abandon-run",
  input: Input,
  build: buildCommanding,
  run,
});

/** Ends a run whose workflow failed or was stopped. Repeating it changes nothing. */
export async function run(
  { runId, error }: z.output<typeof Input>,
  deps: CommandDeps,
): Promise<{ state: RunState; failure: Failure }> {
  const { state } = await abandonRun(runId, error, deps);
  return { state, failure: workflowFailure(error) };
}
