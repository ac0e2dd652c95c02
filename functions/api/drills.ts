import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { KMSClient } from "@aws-sdk/client-kms";
import { SFNClient } from "@aws-sdk/client-sfn";
import { drillOf } from "#shared/domain/drill.ts";
import { newId } from "#shared/domain/id.ts";
import type { Environment } from "#shared/environment.ts";
import { IotAgentMessenger } from "../aws/iot-agent-messenger.ts";
import { KmsCommandKey } from "../aws/kms-command-key.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { beginDrill } from "../drill/begin-drill.ts";
import { stopDrill } from "../drill/end-drill.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Random, Workflow } from "../ports.ts";
import { openStore } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/drills",
  build: (
    { TABLE_NAME, COMMAND_KEY_ARN, DRILL_WORKFLOW_ARN }: Environment<"api/drills">,
    { clock, random, log }: Runtime,
  ): Deps => {
    const sfn = new SFNClient();
    return {
      store: openStore(new DynamoDBClient(), TABLE_NAME, random),
      agents: new IotAgentMessenger(new IoTDataPlaneClient()),
      commandKey: new KmsCommandKey(new KMSClient(), COMMAND_KEY_ARN),
      steps: new SfnWaitingSteps(sfn),
      workflow: new SfnWorkflow(sfn, DRILL_WORKFLOW_ARN),
      clock,
      random,
      log,
    };
  },
  operations: { startDrill, listDrills, getDrill, cancelDrill },
});

interface Deps extends CommandDeps {
  workflow: Workflow;
  random: Random;
}

export async function startDrill(
  { path, body, actor, idempotencyKey }: Call<"startDrill">,
  deps: Deps,
): Promise<Answer<"startDrill">> {
  const nowMs = deps.clock.now();
  const requestedBy = actorName(actor);
  const fresh = newId("drl", nowMs, deps.random(10));
  const id = idempotencyKey
    ? await deps.store.reservations.reserve({
        operation: "startDrill",
        actor: requestedBy,
        key: idempotencyKey,
        request: { pointId: path.id, ...body },
        id: fresh,
        nowMs,
      })
    : fresh;
  return drillOf(await beginDrill(body, { id, pointId: path.id, requestedBy }, deps));
}

export async function listDrills(
  { query }: Call<"listDrills">,
  { store }: Deps,
): Promise<Answer<"listDrills">> {
  const { items, cursor } = await store.drills.page(query);
  return { items: items.map(drillOf), cursor };
}

export async function getDrill({ path }: Call<"getDrill">, { store }: Deps): Promise<Answer<"getDrill">> {
  return drillOf(await store.drills.get(path.id));
}

export async function cancelDrill(
  { path, actor }: Call<"cancelDrill">,
  deps: Deps,
): Promise<Answer<"cancelDrill">> {
  return drillOf(await stopDrill(path.id, actorName(actor), deps));
}
