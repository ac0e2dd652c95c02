import { KMSClient } from "@aws-sdk/client-kms";
import type { Identity } from "../identity/identity.ts";
import { obtainDataKey } from "../repository/data-key.ts";
import { KmsKeys } from "../repository/kms-keys.ts";
import type { Repository } from "../repository/repository.ts";
import type { AgentCloud } from "./agent-cloud.ts";

/** The repository that this source server writes; its data key is made at the first use. */
export async function openOwnRepository(
  { enrolment }: Identity,
  { credentials, store }: AgentCloud,
): Promise<Repository> {
  const { region, awsEndpoint, agentId, kmsKeyId } = enrolment;
  const kms = new KMSClient({ region, credentials, ...(awsEndpoint ? { endpoint: awsEndpoint } : {}) });
  const dataKey = await obtainDataKey(store, new KmsKeys(kms, kmsKeyId), agentId);
  return { sourceId: agentId, store, dataKey };
}
