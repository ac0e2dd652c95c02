/** For tests: a key as the control plane signs messages to agents with. */
import { generateKeyPairSync, type KeyObject, sign as signWith } from "node:crypto";
import type { ToAgent } from "../commands.ts";
import { type Sign, signMessage } from "../message-signature.ts";
import { type Signed, type SignedMessage, signedBytes } from "../signed-message.ts";

export class TestCommandKey {
  readonly publicKey: KeyObject;
  readonly #privateKey: KeyObject;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  get publicKeyPem(): string {
    return this.publicKey.export({ type: "spki", format: "pem" }).toString();
  }

  readonly sign: Sign = async (bytes) => signWith("sha256", bytes, this.#privateKey);

  /** As the control plane sends it at this moment. */
  message(message: ToAgent, agentId: string, nowMs: number): Promise<SignedMessage> {
    return signMessage(message, { agentId, nowMs, sign: this.sign });
  }

  /** With a good signature, whatever the fields are. */
  async seal<T extends Signed>(signed: T): Promise<T & { signatureBase64: string }> {
    const signature = await this.sign(signedBytes(signed));
    return { ...signed, signatureBase64: Buffer.from(signature).toString("base64") };
  }
}
