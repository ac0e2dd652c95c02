import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { KMSClient } from "@aws-sdk/client-kms";
import { SFNClient } from "@aws-sdk/client-sfn";
import { z } from "zod";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import { RunId } from "#shared/protocol/ids.ts";
import type { RunState } from "#shared/protocol/protection.ts";
import { IotAgentMessenger } from "../aws/iot-agent-messenger.ts";
import { KmsCommandKey } from "../aws/kms-command-key.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { abandonRun } from "../protection/abandon-run.ts";
import { openStore } from "../store/store.ts";

export const Input = z.object({ runId: RunId, error: WorkflowError });

export const handler = taskHandler({
  name: "tasks/abandon-run",
  input: Input,
  build: ({ TABLE_NAME, COMMAND_KEY_ARN }, { clock, random, log }): CommandDeps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    agents: new IotAgentMessenger(new IoTDataPlaneClient()),
    commandKey: new KmsCommandKey(new KMSClient(), COMMAND_KEY_ARN),
    steps: new SfnWaitingSteps(new SFNClient()),
    clock,
    log,
  }),
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
