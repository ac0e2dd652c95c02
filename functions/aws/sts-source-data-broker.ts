import { AssumeRoleCommand, type STSClient } from "@aws-sdk/client-sts";
import type { SourceDataBroker, TemporaryCredentials } from "../ports.ts";

/** A target host that is done, or revoked, keeps the rights for so long: the least that STS gives. Agents ask again before. */
const DURATION_SECONDS = 900;

export interface SourceDataBrokerOptions {
  client: STSClient;
  /** May read every repository; each session is narrowed to one. */
  roleArn: string;
  bucket: string;
  kmsKeyArn: string;
}

/** Where a source's repository lies in the bucket. */
export function repositoryPrefix(sourceId: string): string {
  return `sources/${sourceId}/`;
}

/** Sessions of the data access role, each with a policy for one source. */
export class StsSourceDataBroker implements SourceDataBroker {
  readonly #options: SourceDataBrokerOptions;

  constructor(options: SourceDataBrokerOptions) {
    this.#options = options;
  }

  async grant(sourceId: string, sessionName: string): Promise<TemporaryCredentials> {
    const { client, roleArn } = this.#options;
    const { Credentials } = await client.send(
      new AssumeRoleCommand({
        RoleArn: roleArn,
        // STS takes only these characters, and 64 of them.
        RoleSessionName: sessionName.replace(/[^\w+=,.@-]/g, "-").slice(0, 64),
        DurationSeconds: DURATION_SECONDS,
        Policy: JSON.stringify(this.#policy(sourceId)),
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

  #policy(sourceId: string) {
    const bucketArn = `arn:aws:s3:::${this.#options.bucket}`;
    const prefix = repositoryPrefix(sourceId);
    return {
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Action: ["s3:GetObject"], Resource: [`${bucketArn}/${prefix}*`] },
        {
          Effect: "Allow",
          Action: ["s3:ListBucket"],
          Resource: [bucketArn],
          Condition: { StringLike: { "s3:prefix": `${prefix}*` } },
        },
        {
          Effect: "Allow",
          Action: ["kms:Decrypt"],
          Resource: [this.#options.kmsKeyArn],
          Condition: { StringEquals: { "kms:EncryptionContext:sourceId": sourceId } },
        },
      ],
    };
  }
}
