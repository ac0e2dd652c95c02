import { DecryptCommand, GenerateDataKeyCommand, type KMSClient } from "@aws-sdk/client-kms";
import type { KeyContext, KeyService } from "./data-key.ts";

/** Data keys wrapped by one KMS key, bound to the source server by the encryption context. */
export class KmsKeys implements KeyService {
  readonly #kms: KMSClient;
  readonly #keyId: string;

  /** `keyId`: id, ARN or alias of the key that wraps new data keys. */
  constructor(kms: KMSClient, keyId: string) {
    this.#kms = kms;
    this.#keyId = keyId;
  }

  async generate(
    context: KeyContext,
  ): Promise<{ plaintext: Uint8Array; wrapped: Uint8Array; keyId: string }> {
    const answer = await this.#kms.send(
      new GenerateDataKeyCommand({ KeyId: this.#keyId, KeySpec: "AES_256", EncryptionContext: context }),
    );
    if (!answer.Plaintext || !answer.CiphertextBlob) throw new TypeError("KMS gave no data key");
    return {
      plaintext: answer.Plaintext,
      wrapped: answer.CiphertextBlob,
      keyId: answer.KeyId ?? this.#keyId,
    };
  }

  async decrypt(wrapped: Uint8Array, context: KeyContext, keyId: string): Promise<Uint8Array> {
    const answer = await this.#kms.send(
      new DecryptCommand({ KeyId: keyId, CiphertextBlob: wrapped, EncryptionContext: context }),
    );
    if (!answer.Plaintext) throw new TypeError("KMS gave no data key");
    return answer.Plaintext;
  }
}
