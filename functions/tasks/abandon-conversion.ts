import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { KMSClient } from "@aws-sdk/client-kms";
import { SFNClient } from "@aws-sdk/client-sfn";
import { SNSClient } from "@aws-sdk/client-sns";
import { z } from "zod";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import { ConversionId } from "#shared/protocol/ids.ts";
import type { ConversionState } from "#shared/protocol/resources.ts";
import { IotAgentMessenger } from "../aws/iot-agent-messenger.ts";
import { KmsCommandKey } from "../aws/kms-command-key.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { SnsAlarmTopic } from "../aws/sns-alarm-topic.ts";
import { type AbandonDeps, abandon } from "../conversion/abandon.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { openStore } from "../store/store.ts";

export const Input = z.object({ conversionId: ConversionId, error: WorkflowError });

export const handler = taskHandler({
  name: "tasks/abandon-conversion",
  input: Input,
  build: (
    { TABLE_NAME, COMMAND_KEY_ARN, ALARM_TOPIC_ARN, WEBHOOK_WORKFLOW_ARN },
    { clock, random, log },
  ): AbandonDeps => {
    const sfn = new SFNClient();
    return {
      store: openStore(new DynamoDBClient(), TABLE_NAME, random),
      agents: new IotAgentMessenger(new IoTDataPlaneClient()),
      commandKey: new KmsCommandKey(new KMSClient(), COMMAND_KEY_ARN),
      steps: new SfnWaitingSteps(sfn),
      topic: new SnsAlarmTopic(new SNSClient(), ALARM_TOPIC_ARN),
      webhooks: new SfnWorkflow(sfn, WEBHOOK_WORKFLOW_ARN),
      random,
      clock,
      log,
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
