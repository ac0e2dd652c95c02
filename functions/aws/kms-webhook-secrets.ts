import { DecryptCommand, EncryptCommand, type KMSClient } from "@aws-sdk/client-kms";
import type { WebhookSecrets } from "../ports.ts";

/** Functions may use the key only with this context; agents may use it only with their own. */
const CONTEXT = { purpose: "alarm-webhook" };

export class KmsWebhookSecrets implements WebhookSecrets {
  readonly #client: KMSClient;
  readonly #keyArn: string;

  constructor(client: KMSClient, keyArn: string) {
    this.#client = client;
    this.#keyArn = keyArn;
  }

  async seal(secret: string): Promise<string> {
    const { CiphertextBlob } = await this.#client.send(
      new EncryptCommand({ KeyId: this.#keyArn, Plaintext: Buffer.from(secret), EncryptionContext: CONTEXT }),
    );
    if (!CiphertextBlob) throw new Error("KMS returned no ciphertext");
    return Buffer.from(CiphertextBlob).toString("base64");
  }

  async open(sealed: string): Promise<string> {
    const { Plaintext } = await this.#client.send(
      new DecryptCommand({
        KeyId: this.#keyArn,
        CiphertextBlob: Buffer.from(sealed, "base64"),
        EncryptionContext: CONTEXT,
      }),
    );
    if (!Plaintext) throw new Error("KMS returned no plaintext");
    return Buffer.from(Plaintext).toString("utf8");
  }
}
