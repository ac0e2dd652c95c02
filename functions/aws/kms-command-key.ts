import { createPublicKey } from "node:crypto";
import { GetPublicKeyCommand, type KMSClient, SignCommand } from "@aws-sdk/client-kms";
import { commandKeyOf } from "#shared/protocol/message-signature.ts";
import type { CommandKey } from "../ports.ts";

/** A key pair in KMS. The private key never leaves KMS. */
export class KmsCommandKey implements CommandKey {
  readonly #client: KMSClient;
  readonly #keyArn: string;
  #pem: string | undefined;

  constructor(client: KMSClient, keyArn: string) {
    this.#client = client;
    this.#keyArn = keyArn;
  }

  async sign(bytes: Uint8Array): Promise<Uint8Array> {
    const { Signature } = await this.#client.send(
      new SignCommand({
        KeyId: this.#keyArn,
        Message: bytes,
        MessageType: "RAW",
        SigningAlgorithm: "ECDSA_SHA_256",
      }),
    );
    if (!Signature) throw new Error("KMS returned no signature");
    return Signature;
  }

  /** Requested once, because a key pair does not change. */
  async publicKeyPem(): Promise<string> {
    this.#pem ??= await this.#ask();
    return this.#pem;
  }

  async #ask(): Promise<string> {
    const { PublicKey } = await this.#client.send(new GetPublicKeyCommand({ KeyId: this.#keyArn }));
    if (!PublicKey) throw new Error("KMS returned no public key");
    const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
    const pem = key.export({ type: "spki", format: "pem" }).toString();
    // An agent that pinned any other kind of key could never verify a message.
    commandKeyOf(pem);
    return pem;
  }
}
