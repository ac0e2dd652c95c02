import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { KMSClient } from "@aws-sdk/client-kms";
import { SFNClient } from "@aws-sdk/client-sfn";
import { z } from "zod";
import { type CommandKind, commandKinds } from "#shared/protocol/commands.ts";
import { AgentId, ConversionId, DiskName } from "#shared/protocol/ids.ts";
import { AgentEnvironment } from "#shared/protocol/machine.ts";
import { IotAgentMessenger } from "../aws/iot-agent-messenger.ts";
import { KmsCommandKey } from "../aws/kms-command-key.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { dispatch } from "../conversion/dispatch.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { validate } from "../middleware/validate.ts";
import { openStore } from "../store/store.ts";

const kinds = Object.keys(commandKinds) as [CommandKind, ...CommandKind[]];

export const Input = z.object({
  conversionId: ConversionId,
  agentId: AgentId,
  kind: z.enum(kinds),
  /** Tell apart commands of one kind. */
  disk: DiskName.optional(),
  label: z.string().optional(),
  /** For an agent in this system of its machine only. */
  environment: AgentEnvironment.optional(),
  /** A higher round wants work done anew that is done already. */
  round: z.int().positive().default(1),
  input: z.record(z.string(), z.unknown()),
  taskToken: z.string(),
});

export const handler = taskHandler({
  name: "tasks/dispatch-command",
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

/** Hands a step of the workflow to an agent and returns; the agent's events end the step. */
export async function run(
  { disk, label = disk, input, ...request }: z.output<typeof Input>,
  deps: CommandDeps,
): Promise<{ commandId?: string }> {
  // A workflow that asks for what agents cannot read fails here, by field, not at the agent.
  validate(commandKinds[request.kind].input, input, "input");
  return dispatch({ ...request, label, input }, deps);
}
