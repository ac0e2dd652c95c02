import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { ToAgent } from "./commands.ts";
import { MESSAGE_LIFETIME_MS, type Signed, SignedMessage, signedBytes } from "./signed-message.ts";

/** How far clocks can differ before a message counts as signed in the future. */
const EARLY_MS = 5 * 60_000;

/** Signs at most 4096 bytes with ECDSA, P-256 and SHA-256; returns DER. */
export type Sign = (bytes: Uint8Array) => Promise<Uint8Array>;

/** The signed message, which is valid for 15 minutes from now. */
export async function signMessage(
  message: ToAgent,
  { agentId, nowMs, sign }: { agentId: string; nowMs: number; sign: Sign },
): Promise<SignedMessage> {
  const signedAt = new Date(nowMs).toISOString();
  const expiresAt = new Date(nowMs + MESSAGE_LIFETIME_MS).toISOString();
  const signed = { agentId, message, signedAt, expiresAt };
  const signature = await sign(signedBytes(signed));
  return { ...signed, signatureBase64: Buffer.from(signature).toString("base64") };
}

/** Reads the public key (SPKI, PEM) of a control plane. Throws if it is not on P-256. */
export function commandKeyOf(publicKeyPem: string): KeyObject {
  const key = createPublicKey(publicKeyPem);
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1")
    throw new Error("the command key is not a P-256 key");
  return key;
}

/** A message that was signed for this agent. `timeProblem` checks whether it is still valid. */
export interface OpenedMessage {
  message: ToAgent;
  signedAt: string;
  expiresAt: string;
}

/**
 * Opens a message from the topic, or says why it is not valid. It uses no content before it has verified the
 * signature.
 */
export function openMessage(
  payload: unknown,
  { agentId, key }: { agentId: string; key: KeyObject },
): OpenedMessage | { problem: string } {
  const outer = SignedMessage.safeParse(payload);
  if (!outer.success) return { problem: "it is not signed" };
  if (!isGood(outer.data, outer.data.signatureBase64, key)) {
    return { problem: "its signature does not match the key that this agent knows from its enrolment" };
  }
  if (outer.data.agentId !== agentId) return { problem: `it is for the agent ${outer.data.agentId}` };
  const message = ToAgent.safeParse(outer.data.message);
  if (!message.success) return { problem: `it cannot be read: ${message.error.message}` };
  const { signedAt, expiresAt } = outer.data;
  return { message: message.data, signedAt, expiresAt };
}

/** Why a message is not valid at this time; `undefined` if it is. */
export function timeProblem(
  { signedAt, expiresAt }: Pick<OpenedMessage, "signedAt" | "expiresAt">,
  nowMs: number,
): string | undefined {
  if (nowMs >= Date.parse(expiresAt)) return `it expired at ${expiresAt}`;
  if (nowMs < Date.parse(signedAt) - EARLY_MS) return `it is signed for the future, at ${signedAt}`;
  return undefined;
}

function isGood(signed: Signed, signatureBase64: string, key: KeyObject): boolean {
  const signature = Buffer.from(signatureBase64, "base64");
  // Several texts decode to the same bytes, but the control plane writes only one of them.
  if (signature.toString("base64") !== signatureBase64) return false;
  try {
    return verify("sha256", signedBytes(signed), key, signature);
  } catch {
    // It has no canonical encoding, so no key can have signed it.
    return false;
  }
}
