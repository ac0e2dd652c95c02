import { SFNClient } from "@aws-sdk/client-sfn";
import * as z from "zod";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import { ConversionId } from "#shared/protocol/ids.ts";
import type { ConversionState } from "#shared/protocol/resources.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { type AbandonDeps, abandon } from "../conversion/abandon.ts";
import { buildCommanding } from "../conversion/build.ts";
import { taskHandler } from "../middleware/task-handler.ts";

export const Input = z.object({ conversionId: ConversionId, error: WorkflowError });

export const handler = taskHandler({
  name: "tasks/abandon-conversion",
  input: Input,
  build: (environment, runtime): AbandonDeps => {
    const sfn = new SFNClient();
    return {
      ...buildCommanding(environment, runtime, sfn),
      ...buildAlarmChannels(environment, sfn),
      random: runtime.random,
    };
  },
  run,
});

/**
 * Ends a conversion whose workflow failed or was cancelled, and releases what it used. Repeating it changes
 * nothing. Answers with the failure that the workflow then ends with.
 */
export async function run(
  { conversionId, error }: z.output<typeof Input>,
  deps: AbandonDeps,
): Promise<{ state: ConversionState; failure: Failure }> {
  const { state } = await abandon(conversionId, error, deps);
  return { state, failure: workflowFailure(error) };
}
