import { SFNClient } from "@aws-sdk/client-sfn";
import { recoveryOf } from "#shared/domain/recovery.ts";
import type { Environment } from "#shared/environment.ts";
import { SfnWorkflow } from "../aws/sfn-workflow.ts";
import { buildCommanding } from "../conversion/build.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Random, Workflow } from "../ports.ts";
import { beginRecovery } from "../recovery/begin-recovery.ts";
import { stopRecovery } from "../recovery/end-recovery.ts";
import { idForRequest } from "./id-for-request.ts";
import { provedReceiptOf } from "./proof-receipt.ts";

export const handler = apiHandler({
  name: "api/recoveries",
  build: (environment: Environment<"api/recoveries">, runtime: Runtime): Deps => {
    const sfn = new SFNClient();
    return {
      ...buildCommanding(environment, runtime, sfn),
      workflow: new SfnWorkflow(sfn, environment.RECOVERY_WORKFLOW_ARN),
      random: runtime.random,
    };
  },
  operations: { startRecovery, listRecoveries, getRecovery, getRecoveryReceipt, cancelRecovery },
});

interface Deps extends CommandDeps {
  workflow: Workflow;
  random: Random;
}

export async function startRecovery(
  { path, body, actor, idempotencyKey }: Call<"startRecovery">,
  deps: Deps,
): Promise<Answer<"startRecovery">> {
  const requestedBy = actorName(actor);
  const id = await idForRequest(
    {
      ...{ operation: "startRecovery", prefix: "rcv", actor: requestedBy, idempotencyKey },
      request: { sourceId: path.id, ...body },
    },
    deps,
  );
  return recoveryOf(await beginRecovery(body, { id, sourceId: path.id, requestedBy }, deps));
}

export async function listRecoveries(
  { query }: Call<"listRecoveries">,
  { store }: Deps,
): Promise<Answer<"listRecoveries">> {
  const { items, cursor } = await store.recoveries.page(query);
  return { items: items.map((one) => recoveryOf(one)), cursor };
}

export async function getRecovery(
  { path }: Call<"getRecovery">,
  { store }: Deps,
): Promise<Answer<"getRecovery">> {
  const { record, commands } = await store.recoveries.withCommands(path.id);
  return recoveryOf(record, commands);
}

export async function getRecoveryReceipt(
  { path }: Call<"getRecoveryReceipt">,
  { store }: Deps,
): Promise<Answer<"getRecoveryReceipt">> {
  return provedReceiptOf(await store.recoveries.get(path.id), store);
}

export async function cancelRecovery(
  { path, actor }: Call<"cancelRecovery">,
  deps: Deps,
): Promise<Answer<"cancelRecovery">> {
  return recoveryOf(await stopRecovery(path.id, actorName(actor), deps));
}
