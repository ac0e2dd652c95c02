import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { KMSClient } from "@aws-sdk/client-kms";
import { SFNClient } from "@aws-sdk/client-sfn";
import { z } from "zod";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import type { DrillState } from "#shared/protocol/drill.ts";
import { DrillId } from "#shared/protocol/ids.ts";
import { IotAgentMessenger } from "../aws/iot-agent-messenger.ts";
import { KmsCommandKey } from "../aws/kms-command-key.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { abandonDrill } from "../drill/end-drill.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { openStore } from "../store/store.ts";

export const Input = z.object({ drillId: DrillId, error: WorkflowError });

export const handler = taskHandler({
  name: "tasks/abandon-drill",
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

/** Ends a drill whose workflow failed or was cancelled. Repeating it changes nothing. */
export async function run(
  { drillId, error }: z.output<typeof Input>,
  deps: CommandDeps,
): Promise<{ state: DrillState; failure: Failure }> {
  const { state } = await abandonDrill(drillId, error, deps);
  return { state, failure: workflowFailure(error) };
}
