import type { STSClient } from "@aws-sdk/client-sts";
import { bootImageKey } from "#shared/protocol/boot-image.ts";
import type { BootImageBroker, GrantedCredentials } from "../ports.ts";
import { narrowedSession } from "./narrowed-session.ts";

export interface BootImageBrokerOptions {
  client: STSClient;
  /** May write every boot image; each session is narrowed to one. */
  roleArn: string;
  bucket: string;
}

/** Sessions of the upload role, each with a policy for one boot image. */
export class StsBootImageBroker implements BootImageBroker {
  readonly #options: BootImageBrokerOptions;

  constructor(options: BootImageBrokerOptions) {
    this.#options = options;
  }

  grant(imageId: string, sessionName: string): Promise<GrantedCredentials> {
    const { client, roleArn, bucket } = this.#options;
    const files = `arn:aws:s3:::${bucket}/${bootImageKey(imageId, "*")}`;
    return narrowedSession(client, roleArn, sessionName, [
      { Effect: "Allow", Action: ["s3:PutObject"], Resource: [files] },
    ]);
  }
}
