import { AssumeRoleCommand, type STSClient } from "@aws-sdk/client-sts";
import type { GrantedCredentials } from "../ports.ts";

/**
 * Whoever is done, or revoked, keeps the rights for so long: the least that STS gives. They are asked for
 * again before.
 */
const DURATION_SECONDS = 900;

/** A session of the role with no more rights than the statements of `policy` give. */
export async function narrowedSession(
  client: STSClient,
  roleArn: string,
  sessionName: string,
  policy: { Effect: "Allow"; Action: string[]; Resource: string[]; Condition?: object }[],
): Promise<GrantedCredentials> {
  const { Credentials } = await client.send(
    new AssumeRoleCommand({
      RoleArn: roleArn,
      // STS takes only these characters, and 64 of them.
      RoleSessionName: sessionName.replace(/[^\w+=,.@-]/g, "-").slice(0, 64),
      DurationSeconds: DURATION_SECONDS,
      Policy: JSON.stringify({ Version: "2012-10-17", Statement: policy }),
    }),
  );
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
  if (!AccessKeyId || !SecretAccessKey || !SessionToken || !Expiration) {
    throw new Error("STS gave no credentials");
  }
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    expiresAt: Expiration.toISOString(),
  };
}
