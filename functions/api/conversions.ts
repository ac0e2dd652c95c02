import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { KMSClient } from "@aws-sdk/client-kms";
import { SFNClient } from "@aws-sdk/client-sfn";
import { SNSClient } from "@aws-sdk/client-sns";
import { hasEnded } from "#shared/domain/conversion.ts";
import { awaitedAgents, conversionOf, withAbsences } from "#shared/domain/conversion-view.ts";
import { newId } from "#shared/domain/id.ts";
import type { Environment } from "#shared/environment.ts";
import { NotFoundError } from "#shared/errors.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { IotAgentMessenger } from "../aws/iot-agent-messenger.ts";
import { KmsCommandKey } from "../aws/kms-command-key.ts";
import { SfnWaitingSteps } from "../aws/sfn-waiting-steps.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { SnsAlarmTopic } from "../aws/sns-alarm-topic.ts";
import type { AbandonDeps } from "../conversion/abandon.ts";
import { cancelConversion as cancel } from "../conversion/cancel.ts";
import { startConversion as start } from "../conversion/start.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Workflow } from "../ports.ts";
import { openStore } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/conversions",
  build: (
    {
      TABLE_NAME,
      COMMAND_KEY_ARN,
      CONVERSION_WORKFLOW_ARN,
      ALARM_TOPIC_ARN,
      WEBHOOK_WORKFLOW_ARN,
    }: Environment<"api/conversions">,
    { clock, random, log }: Runtime,
  ): Deps => {
    const sfn = new SFNClient();
    return {
      store: openStore(new DynamoDBClient(), TABLE_NAME, random),
      agents: new IotAgentMessenger(new IoTDataPlaneClient()),
      commandKey: new KmsCommandKey(new KMSClient(), COMMAND_KEY_ARN),
      steps: new SfnWaitingSteps(sfn),
      workflow: new SfnWorkflow(sfn, CONVERSION_WORKFLOW_ARN),
      topic: new SnsAlarmTopic(new SNSClient(), ALARM_TOPIC_ARN),
      webhooks: new SfnWorkflow(sfn, WEBHOOK_WORKFLOW_ARN),
      clock,
      random,
      log,
    };
  },
  operations: {
    startConversion,
    listConversions,
    getConversion,
    cancelConversion,
    getConversionReceipt,
  },
});

type Deps = AbandonDeps & { workflow: Workflow };

export async function startConversion(
  { body, actor, idempotencyKey }: Call<"startConversion">,
  deps: Deps,
): Promise<Answer<"startConversion">> {
  const nowMs = deps.clock.now();
  const requestedBy = actorName(actor);
  const fresh = newId("cnv", nowMs, deps.random(10));
  const id = idempotencyKey
    ? await deps.store.reservations.reserve({
        operation: "startConversion",
        actor: requestedBy,
        key: idempotencyKey,
        request: body,
        id: fresh,
        nowMs,
      })
    : fresh;
  await start(body, { id, pointId: newId("rp", nowMs, deps.random(10)), requestedBy }, deps);
  return shown(id, deps);
}

export async function listConversions(
  { query }: Call<"listConversions">,
  deps: Deps,
): Promise<Answer<"listConversions">> {
  const { items, cursor } = await deps.store.conversions.page(query);
  // An ended conversion has its steps in the record, so only the others need their commands.
  const views = items.map((item) => (hasEnded(item) ? conversionOf(item, []) : shown(item.id, deps)));
  return { items: await Promise.all(views), cursor };
}

export function getConversion({ path }: Call<"getConversion">, deps: Deps): Promise<Answer<"getConversion">> {
  return shown(path.id, deps);
}

export async function cancelConversion(
  { path, actor }: Call<"cancelConversion">,
  deps: Deps,
): Promise<Answer<"cancelConversion">> {
  await cancel(path.id, actorName(actor), deps);
  return shown(path.id, deps);
}

export async function getConversionReceipt(
  { path }: Call<"getConversionReceipt">,
  { store }: Deps,
): Promise<Answer<"getConversionReceipt">> {
  const { attested, sourceId } = await store.conversions.get(path.id);
  const { certificatePem } = await store.agents.get(sourceId);
  if (!attested || !certificatePem) throw new NotFoundError("boot receipt of conversion", path.id);
  return { conversionId: path.id, ...attested, certificatePem };
}

async function shown(id: string, { store }: Deps): Promise<Conversion> {
  const { conversion, commands } = await store.conversions.withCommands(id);
  const view = conversionOf(conversion, commands);
  const agents = await Promise.all(awaitedAgents(view).map((agentId) => store.agents.find(agentId)));
  return withAbsences(view, new Map(agents.flatMap((agent) => (agent ? [[agent.id, agent.presence]] : []))));
}
