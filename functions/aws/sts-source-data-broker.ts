import type { STSClient } from "@aws-sdk/client-sts";
import { repositoryPrefix } from "#shared/format/object-keys.ts";
import type { GrantedCredentials, SourceDataBroker } from "../ports.ts";
import { narrowedSession } from "./narrowed-session.ts";

export interface SourceDataBrokerOptions {
  client: STSClient;
  /** May read every repository; each session is narrowed to one. */
  roleArn: string;
  bucket: string;
  kmsKeyArn: string;
}

/** Sessions of the data access role, each with a policy for one source. */
export class StsSourceDataBroker implements SourceDataBroker {
  readonly #options: SourceDataBrokerOptions;

  constructor(options: SourceDataBrokerOptions) {
    this.#options = options;
  }

  grant(sourceId: string, sessionName: string): Promise<GrantedCredentials> {
    const { client, roleArn, bucket, kmsKeyArn } = this.#options;
    const bucketArn = `arn:aws:s3:::${bucket}`;
    const prefix = repositoryPrefix(sourceId);
    return narrowedSession(client, roleArn, sessionName, [
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
        Resource: [kmsKeyArn],
        Condition: { StringEquals: { "kms:EncryptionContext:sourceId": sourceId } },
      },
    ]);
  }
}
