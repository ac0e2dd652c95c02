import { SFNClient } from "@aws-sdk/client-sfn";
import { drillOf } from "#shared/domain/drill.ts";
import type { Environment } from "#shared/environment.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { buildCommanding } from "../conversion/build.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { beginDrill } from "../drill/begin-drill.ts";
import { stopDrill } from "../drill/end-drill.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Random, Workflow } from "../ports.ts";
import { idForRequest } from "./id-for-request.ts";
import { provedReceiptOf } from "./proof-receipt.ts";

export const handler = apiHandler({
  name: "api/drills",
  build: (environment: Environment<"api/drills">, runtime: Runtime): Deps => {
    const sfn = new SFNClient();
    return {
      ...buildCommanding(environment, runtime, sfn),
      workflow: new SfnWorkflow(sfn, environment.DRILL_WORKFLOW_ARN),
      random: runtime.random,
    };
  },
  operations: { startDrill, listDrills, getDrill, getDrillReceipt, cancelDrill },
});

interface Deps extends CommandDeps {
  workflow: Workflow;
  random: Random;
}

export async function startDrill(
  { path, body, actor, idempotencyKey }: Call<"startDrill">,
  deps: Deps,
): Promise<Answer<"startDrill">> {
  const requestedBy = actorName(actor);
  const id = await idForRequest(
    {
      operation: "startDrill",
      prefix: "drl",
      actor: requestedBy,
      idempotencyKey,
      request: { pointId: path.id, ...body },
    },
    deps,
  );
  return drillOf(await beginDrill(body, { id, pointId: path.id, requestedBy }, deps));
}

export async function listDrills(
  { query }: Call<"listDrills">,
  { store }: Deps,
): Promise<Answer<"listDrills">> {
  const { items, cursor } = await store.drills.page(query);
  return { items: items.map((one) => drillOf(one)), cursor };
}

export async function getDrill({ path }: Call<"getDrill">, { store }: Deps): Promise<Answer<"getDrill">> {
  const { record, commands } = await store.drills.withCommands(path.id);
  return drillOf(record, commands);
}

export async function getDrillReceipt(
  { path }: Call<"getDrillReceipt">,
  { store }: Deps,
): Promise<Answer<"getDrillReceipt">> {
  return provedReceiptOf(await store.drills.get(path.id), store);
}

export async function cancelDrill(
  { path, actor }: Call<"cancelDrill">,
  deps: Deps,
): Promise<Answer<"cancelDrill">> {
  return drillOf(await stopDrill(path.id, actorName(actor), deps));
}
