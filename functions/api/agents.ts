import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { IoTClient } from "@aws-sdk/client-iot";
import { type AgentRecord, requireRole, revoked, sourceOf, targetOf } from "#shared/domain/agent.ts";
import type { Environment } from "#shared/environment.ts";
import type { EnrollableRole } from "#shared/protocol/common.ts";
import { IotDeviceRegistry } from "../aws/iot-device-registry.ts";
import { timestamp } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Clock, DeviceRegistry } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/agents",
  build: ({ TABLE_NAME }: Environment<"api/agents">, { clock, random }: Runtime): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    registry: new IotDeviceRegistry(new IoTClient()),
    clock,
  }),
  operations: { listSources, getSource, listTargets, getTarget, revokeAgent },
});

interface Deps {
  store: Store;
  registry: DeviceRegistry;
  clock: Clock;
}

export async function listSources(
  { query }: Call<"listSources">,
  { store }: Deps,
): Promise<Answer<"listSources">> {
  const { items, cursor } = await store.agents.page("source", query);
  return { items: items.map(sourceOf), cursor };
}

export async function listTargets(
  { query }: Call<"listTargets">,
  { store }: Deps,
): Promise<Answer<"listTargets">> {
  const { items, cursor } = await store.agents.page("target", query);
  return { items: items.map(targetOf), cursor };
}

export async function getSource({ path }: Call<"getSource">, deps: Deps): Promise<Answer<"getSource">> {
  return sourceOf(await withRole(path.id, "source", deps));
}

export async function getTarget({ path }: Call<"getTarget">, deps: Deps): Promise<Answer<"getTarget">> {
  return targetOf(await withRole(path.id, "target", deps));
}

/**
 * Revokes an agent permanently; repeating it is harmless. The agent is marked first: from then on it gets no
 * commands even if revoking the certificate fails, and an enrolment that is just finishing sees the mark.
 */
export async function revokeAgent(
  { path, actor }: Call<"revokeAgent">,
  { store, registry, clock }: Deps,
): Promise<Answer<"revokeAgent">> {
  const now = timestamp(clock);
  const {
    id,
    role,
    certificateId,
    revokedAt = now,
  } = await store.agents.modify(path.id, (agent) => revoked(agent, now));
  await registry.revoke(certificateId);
  await store.audit.addOnce({
    at: revokedAt,
    actor: actorName(actor),
    action: "agent-revoked",
    subject: id,
    outcome: "done",
  });
  return { id, role, revokedAt };
}

async function withRole(id: string, role: EnrollableRole, { store }: Deps): Promise<AgentRecord> {
  return requireRole(await store.agents.find(id), role, id);
}
