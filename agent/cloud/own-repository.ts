import { KMSClient } from "@aws-sdk/client-kms";
import type { Identity } from "../identity/identity.ts";
import type { TemporaryCredentials } from "../link/credentials.ts";
import { obtainDataKey } from "../repository/data-key.ts";
import { KmsKeys } from "../repository/kms-keys.ts";
import type { Repository } from "../repository/repository.ts";
import { RetryingStore } from "../repository/retrying-store.ts";
import { S3Store } from "../repository/s3-store.ts";

/** What reaching the cloud needs from outside. */
export interface CloudPorts {
  /** The agent's own temporary credentials. */
  credentials: () => Promise<TemporaryCredentials>;
  /** Milliseconds since 1970. */
  now: () => number;
  random: () => number;
}

/** The repository that this source server writes; its data key is made at the first use. */
export async function openOwnRepository({ enrolment }: Identity, ports: CloudPorts): Promise<Repository> {
  const { region, bucket, awsEndpoint, agentId, kmsKeyId } = enrolment;
  const endpoint = awsEndpoint ? { endpoint: awsEndpoint } : {};
  const s3 = new S3Store({ bucket, region, credentials: ports.credentials, now: ports.now, ...endpoint });
  const store = new RetryingStore(s3, { random: ports.random });
  const kms = new KMSClient({ region, credentials: ports.credentials, ...endpoint });
  const dataKey = await obtainDataKey(store, new KmsKeys(kms, kmsKeyId), agentId);
  return { sourceId: agentId, store, dataKey };
}
