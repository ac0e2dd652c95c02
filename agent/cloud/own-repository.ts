import type { Identity } from "../identity/identity.ts";
import { obtainDataKey } from "../repository/data-key.ts";
import { KmsKeys } from "../repository/kms-keys.ts";
import type { Repository } from "../repository/repository.ts";
import type { AgentCloud } from "./agent-cloud.ts";

/** This source server's own repository; its data key is created at the first use. */
export async function openOwnRepository(
  { enrolment }: Identity,
  { credentials, now, store }: AgentCloud,
): Promise<Repository> {
  const { region, awsEndpoint, agentId, kmsKeyId } = enrolment;
  const at = awsEndpoint ? { endpoint: awsEndpoint } : {};
  const keys = new KmsKeys({ region, credentials, keyId: kmsKeyId, now, ...at });
  const dataKey = await obtainDataKey(store, keys, agentId);
  return { sourceId: agentId, store, dataKey };
}
