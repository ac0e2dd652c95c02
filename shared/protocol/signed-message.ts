/**
 * A message on an agent's command topic, which the control plane signed for this agent. Cancellations and
 * acknowledgements are signed, too, because a cancellation stops work and an acknowledgement lets a machine
 * restart.
 */
import { createHash } from "node:crypto";
import * as z from "zod";
import { canonicalJson } from "./canonical-json.ts";
import type { ToAgent } from "./commands.ts";
import { Timestamp } from "./common.ts";

/** Separates these signatures from any other use of the key. */
const DOMAIN = "causeway: message to an agent, form 1\n";

/**
 * How long a message is valid after it was signed, which limits the use of a recorded one. The broker
 * delivers within seconds or not at all, and every sending gets a new signature, even of a command that
 * waited for days. So this only has to cover different clocks and slow machines.
 */
export const MESSAGE_LIFETIME_MS = 15 * 60_000;

export const SignedMessage = z.object({
  agentId: z.string(),
  /**
   * A `ToAgent`. It is kept as received, because the signature covers members that an older agent does not
   * know.
   */
  message: z.unknown(),
  signedAt: Timestamp,
  expiresAt: Timestamp,
  /** ECDSA with P-256 and SHA-256 over `signedBytes`; DER, as KMS makes it. */
  signatureBase64: z.base64().max(200),
});
/** The message as the control plane sends it. */
export type SignedMessage = z.infer<typeof SignedMessage> & { message: ToAgent };

export type Signed = Omit<z.infer<typeof SignedMessage>, "signatureBase64">;

/**
 * The bytes to sign: the same for equal messages, and different for all others. They contain a hash, because
 * KMS signs at most 4096 bytes. Throws `TypeError` for a value that JSON cannot express.
 */
export function signedBytes({ agentId, message, signedAt, expiresAt }: Signed): Buffer {
  const text = canonicalJson({ agentId, message, signedAt, expiresAt });
  return Buffer.from(DOMAIN + createHash("sha256").update(text).digest("hex"));
}
