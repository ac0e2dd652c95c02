import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { KMSClient } from "@aws-sdk/client-kms";
import { SFNClient } from "@aws-sdk/client-sfn";
import { IotAgentMessenger } from "../aws/iot-agent-messenger.ts";
import { KmsCommandKey } from "../aws/kms-command-key.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import type { Runtime } from "../middleware/runtime.ts";
import { openStore } from "../store/store.ts";
import type { CommandDeps } from "./deps.ts";

/** For each function that commands agents. `sfn`: a client that the function also uses for other things. */
export function buildCommanding(
  environment: { TABLE_NAME: string; COMMAND_KEY_ARN: string },
  { clock, random, log }: Runtime,
  sfn: SFNClient = new SFNClient(),
): CommandDeps {
  return {
    store: openStore(new DynamoDBClient(), environment.TABLE_NAME, random),
    agents: new IotAgentMessenger(new IoTDataPlaneClient()),
    commandKey: new KmsCommandKey(new KMSClient(), environment.COMMAND_KEY_ARN),
    steps: new SfnWaitingSteps(sfn),
    clock,
    log,
  };
}
