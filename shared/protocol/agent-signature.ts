/** Signatures that an agent makes with the key of its certificate, over the canonical JSON of a content. */
import { createHash, createPrivateKey, sign, verify, X509Certificate } from "node:crypto";
import * as z from "zod";
import { canonicalJson } from "./canonical-json.ts";

const ALGORITHM = "ECDSA-P256-SHA256";
const ENCODING = "ieee-p1363";

export const AgentSignature = z.strictObject({
  /** Over the canonical JSON of the content; r and s side by side. */
  algorithm: z.literal(ALGORITHM),
  valueBase64: z.base64(),
  /** SHA-256 of the certificate (DER) whose key signed. */
  certificateSha256: z.string().regex(/^[0-9a-f]{64}$/),
});
type AgentSignature = z.infer<typeof AgentSignature>;

/** Signs with the agent's key (PEM, P-256), whose certificate is named in the signature. */
export function agentSignature(content: unknown, keyPem: string, certificatePem: string): AgentSignature {
  const key = createPrivateKey(keyPem);
  const value = sign("sha256", Buffer.from(canonicalJson(content)), { key, dsaEncoding: ENCODING });
  return {
    algorithm: ALGORITHM,
    valueBase64: value.toString("base64"),
    certificateSha256: hashOf(new X509Certificate(certificatePem)),
  };
}

/**
 * Why the content was not signed with the key of this certificate; `undefined` if it was. `certificatePem`
 * must be the certificate that the control plane has stored for this agent, never one that came with the
 * content.
 */
export function findSignatureProblem(
  { content, signature }: { content: unknown; signature: AgentSignature },
  certificatePem: string,
): string | undefined {
  const certificate = new X509Certificate(certificatePem);
  if (signature.certificateSha256 !== hashOf(certificate))
    return "it was signed with the key of another certificate";
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  if (asymmetricKeyType !== "ec" || asymmetricKeyDetails?.namedCurve !== "prime256v1")
    return "the certificate has no P-256 key";
  const bytes = Buffer.from(canonicalJson(content));
  const value = Buffer.from(signature.valueBase64, "base64");
  if (!verify("sha256", bytes, { key: certificate.publicKey, dsaEncoding: ENCODING }, value))
    return "its signature does not match its content";
  return undefined;
}

function hashOf(certificate: X509Certificate): string {
  return createHash("sha256").update(certificate.raw).digest("hex");
}
