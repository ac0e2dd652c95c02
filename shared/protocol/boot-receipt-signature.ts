import { agentSignature, findSignatureProblem } from "./agent-signature.ts";
import { type BootReceipt, BootReceiptContent, worstOutcome } from "./boot-receipt.ts";

/** Signs with the agent's key (PEM, P-256), whose certificate is named in the receipt. */
export function signBootReceipt(
  content: BootReceiptContent,
  keyPem: string,
  certificatePem: string,
): BootReceipt {
  const checked = BootReceiptContent.parse(content);
  return { content: checked, signature: agentSignature(checked, keyPem, certificatePem) };
}

/**
 * Why a receipt is not valid; `undefined` if it is. `certificatePem` must be the certificate that the control
 * plane has stored for this agent, never one that came with the receipt. Besides the signature, this checks
 * that the outcome follows from the items.
 */
export function findReceiptProblem(receipt: BootReceipt, certificatePem: string): string | undefined {
  const problem = findSignatureProblem(receipt, certificatePem);
  if (problem !== undefined) return problem;
  const { content } = receipt;
  if (content.outcome !== worstOutcome(content.items)) return "its outcome contradicts its items";
  const contradictory = content.items.find(
    ({ before, after, outcome }) => outcome === "equal" && hashIn(before) !== hashIn(after),
  );
  return contradictory && `${contradictory.name} is called equal, but its hashes differ`;
}

function hashIn(state: BootReceiptContent["items"][number]["before"]): string | undefined {
  return state.present ? (state.sha256 ?? "folder") : undefined;
}
