/** Clients of AWS and the API with an agent's rights, for tests of those rights. */
import { KMSClient } from "@aws-sdk/client-kms";
import { S3Client } from "@aws-sdk/client-s3";
import { agentApi } from "#agent/cloud/agent-api.ts";
import type { Identity } from "#agent/identity/identity.ts";
import { certificateCredentials, type TemporaryCredentials } from "#agent/link/credentials.ts";
import type { DataAccess } from "#shared/protocol/resources.ts";

export const credentialsOf = (identity: Identity): Promise<TemporaryCredentials> =>
  certificateCredentials(identity)();

export function s3With(
  { enrolment }: Identity,
  credentials: Omit<TemporaryCredentials, "expiration">,
): S3Client {
  const { region, awsEndpoint = "" } = enrolment;
  return new S3Client({ region, endpoint: awsEndpoint, forcePathStyle: true, credentials, maxAttempts: 1 });
}

export function kmsWith(
  { enrolment }: Identity,
  credentials: Omit<TemporaryCredentials, "expiration">,
): KMSClient {
  const { region, awsEndpoint = "" } = enrolment;
  return new KMSClient({ region, endpoint: awsEndpoint, credentials, maxAttempts: 1 });
}

/** The rights that the control plane grants this agent for reading a conversion's data. */
export async function dataOf(identity: Identity, conversionId: string): Promise<DataAccess> {
  const api = agentApi(identity, { credentials: certificateCredentials(identity), now: Date.now });
  return api.openOwnerData({ parameters: { id: conversionId } });
}
