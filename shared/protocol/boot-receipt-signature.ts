import { createHash, createPrivateKey, sign, verify, X509Certificate } from "node:crypto";
import { type BootReceipt, BootReceiptContent, worstOutcome } from "./boot-receipt.ts";
import { canonicalJson } from "./canonical-json.ts";

const ALGORITHM = "ECDSA-P256-SHA256";
const ENCODING = "ieee-p1363";

/** Signs with the agent's key (PEM, P-256), whose certificate is named in the receipt. */
export function signBootReceipt(
  content: BootReceiptContent,
  keyPem: string,
  certificatePem: string,
): BootReceipt {
  const checked = BootReceiptContent.parse(content);
  const key = createPrivateKey(keyPem);
  const value = sign("sha256", Buffer.from(canonicalJson(checked)), { key, dsaEncoding: ENCODING });
  const certificateSha256 = hashOf(new X509Certificate(certificatePem));
  const signature = {
    algorithm: ALGORITHM,
    valueBase64: value.toString("base64"),
    certificateSha256,
  } as const;
  return { content: checked, signature };
}

/**
 * Why a receipt is not valid; `undefined` if it is. `certificatePem` must be the certificate that the control
 * plane has stored for this agent, never one that came with the receipt. Besides the signature, this checks
 * that the outcome follows from the items.
 */
export function findReceiptProblem(receipt: BootReceipt, certificatePem: string): string | undefined {
  const certificate = new X509Certificate(certificatePem);
  if (receipt.signature.certificateSha256 !== hashOf(certificate)) {
    return "it was signed with the key of another certificate";
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  if (asymmetricKeyType !== "ec" || asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    return "the certificate has no P-256 key";
  }
  const { content } = receipt;
  const bytes = Buffer.from(canonicalJson(content));
  const value = Buffer.from(receipt.signature.valueBase64, "base64");
  if (!verify("sha256", bytes, { key: certificate.publicKey, dsaEncoding: ENCODING }, value)) {
    return "its signature does not match its content";
  }
  if (content.outcome !== worstOutcome(content.items)) return "its outcome contradicts its items";
  const contradictory = content.items.find(
    ({ before, after, outcome }) => outcome === "equal" && hashIn(before) !== hashIn(after),
  );
  return contradictory && `${contradictory.name} is called equal, but its hashes differ`;
}

function hashIn(state: BootReceiptContent["items"][number]["before"]): string | undefined {
  return state.present ? (state.sha256 ?? "folder") : undefined;
}

function hashOf(certificate: X509Certificate): string {
  return createHash("sha256").update(certificate.raw).digest("hex");
}
