/**
 * What arrives on an agent's command topic: a message that the control plane signed for this agent.
 * Cancellations and acknowledgements too, since a cancellation stops work, and an acknowledgement lets a
 * machine restart.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { canonicalJson } from "./canonical-json.ts";
import type { ToAgent } from "./commands.ts";
import { Timestamp } from "./common.ts";

/** Keeps these signatures apart from any other use of the key. */
const DOMAIN = "causeway: message to an agent, form 1\n";

/**
 * How long a message is good after it was signed, and so how long a recorded one is worth something. The
 * broker delivers within seconds or not at all, and each sending is signed again, also of a command that
 * waited for days: this only has to cover clocks that differ and a machine that is slow.
 */
export const MESSAGE_LIFETIME_MS = 15 * 60_000;

export const SignedMessage = z.object({
  agentId: z.string(),
  /**
   * A `ToAgent`. The signature covers members that an older agent does not know, so it is read as it came.
   */
  message: z.unknown(),
  signedAt: Timestamp,
  expiresAt: Timestamp,
  /** ECDSA with P-256 and SHA-256 over `signedBytes`; DER, as KMS makes it. */
  signatureBase64: z.base64().max(200),
});
/** As the control plane sends it. */
export type SignedMessage = z.infer<typeof SignedMessage> & { message: ToAgent };

export type Signed = Omit<z.infer<typeof SignedMessage>, "signatureBase64">;

/**
 * What is signed: the same bytes for equal messages, and different ones for all others. They hold a hash,
 * since KMS signs 4096 bytes at most. Throws `TypeError` for what JSON cannot express.
 */
export function signedBytes({ agentId, message, signedAt, expiresAt }: Signed): Buffer {
  const text = canonicalJson({ agentId, message, signedAt, expiresAt });
  return Buffer.from(DOMAIN + createHash("sha256").update(text).digest("hex"));
}
