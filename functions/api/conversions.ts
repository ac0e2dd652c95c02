import { SFNClient } from "@aws-sdk/client-sfn";
import { hasEnded } from "#shared/domain/conversion.ts";
import { awaitedAgents, conversionOf, withAbsences } from "#shared/domain/conversion-view.ts";
import { newId } from "#shared/domain/id.ts";
import type { Environment } from "#shared/environment.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { buildAlarmChannels } from "../alarm/build.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import type { AbandonDeps } from "../conversion/abandon.ts";
import { buildCommanding } from "../conversion/build.ts";
import { cancelConversion as cancel } from "../conversion/cancel.ts";
import { startConversion as start } from "../conversion/start.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Workflow } from "../ports.ts";
import { bootReceiptOf } from "./boot-receipt.ts";
import { idForRequest } from "./id-for-request.ts";

export const handler = apiHandler({
  name: "api/conversions",
  build: (environment: Environment<"api/conversions">, runtime: Runtime): Deps => {
    const sfn = new SFNClient();
    return {
      ...buildCommanding(environment, runtime, sfn),
      ...buildAlarmChannels(environment, sfn),
      workflow: new SfnWorkflow(sfn, environment.CONVERSION_WORKFLOW_ARN),
      random: runtime.random,
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
  const requestedBy = actorName(actor);
  const id = await idForRequest(
    { operation: "startConversion", prefix: "cnv", actor: requestedBy, idempotencyKey, request: body },
    deps,
  );
  await start(body, { id, pointId: newId("rp", deps.clock.now(), deps.random(10)), requestedBy }, deps);
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
  return bootReceiptOf(await store.conversions.get(path.id), store);
}

async function shown(id: string, { store }: Deps): Promise<Conversion> {
  const { record: conversion, commands } = await store.conversions.withCommands(id);
  const view = conversionOf(conversion, commands);
  const agents = await Promise.all(awaitedAgents(view).map((agentId) => store.agents.find(agentId)));
  return withAbsences(view, new Map(agents.flatMap((agent) => (agent ? [[agent.id, agent.presence]] : []))));
}
