import { DecryptCommand, type KMSClient } from "@aws-sdk/client-kms";
import type { DataKeys } from "../ports.ts";

/** The data keys that KMS wrapped. */
export class KmsDataKeys implements DataKeys {
  readonly #client: KMSClient;

  constructor(client: KMSClient) {
    this.#client = client;
  }

  async unwrap(wrapped: Uint8Array, context: { sourceId: string }, keyId: string): Promise<Uint8Array> {
    const { Plaintext } = await this.#client.send(
      new DecryptCommand({ CiphertextBlob: wrapped, KeyId: keyId, EncryptionContext: context }),
    );
    if (!Plaintext) throw new Error("KMS returned no key");
    return Plaintext;
  }
}
