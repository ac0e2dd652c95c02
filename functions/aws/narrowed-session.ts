import { AssumeRoleCommand, type STSClient } from "@aws-sdk/client-sts";
import type { GrantedCredentials } from "../ports.ts";

/**
 * A caller that has finished or was revoked keeps the credentials until they expire, so this is the shortest
 * lifetime that STS allows. A caller that needs more time asks again.
 */
const DURATION_SECONDS = 900;

/** Credentials for a session of the role, limited to the statements of `policy`. */
export async function narrowedSession(
  client: STSClient,
  roleArn: string,
  sessionName: string,
  policy: { Effect: "Allow"; Action: string[]; Resource: string[]; Condition?: object }[],
): Promise<GrantedCredentials> {
  const { Credentials } = await client.send(
    new AssumeRoleCommand({
      RoleArn: roleArn,
      // STS accepts only these characters, and at most 64 of them.
      RoleSessionName: sessionName.replace(/[^\w+=,.@-]/g, "-").slice(0, 64),
      DurationSeconds: DURATION_SECONDS,
      Policy: JSON.stringify({ Version: "2012-10-17", Statement: policy }),
    }),
  );
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
  if (!AccessKeyId || !SecretAccessKey || !SessionToken || !Expiration) {
    throw new Error("STS returned no credentials");
  }
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    expiresAt: Expiration.toISOString(),
  };
}
