/** How what is kept of a proof is shown to people. */
import type { KeptProof } from "#shared/protocol/kept-receipt.ts";
import type { Proof, ProofReceiptContent } from "#shared/protocol/proof.ts";
import { oneLine } from "../terminal.ts";
import { describeProof } from "./proof-text.ts";

/** `problem`: why its receipt is not valid. */
export function describeKeptProof(id: string, kept: KeptProof, problem?: string): string {
  if (kept.state === "not-asked")
    return `${id}: no files were to be compared (\`--prove\`), so nothing is said of the copy.`;
  if (kept.state === "none")
    return `${id}: files were to be compared; no result is recorded, so nothing is said of the copy.`;
  const { proof, frozenFrom, signed } = kept;
  const content = signed?.receipt.content;
  return [
    `${id}: proof of recovery point ${proof.pointId}, as of ${instantOf(proof, frozenFrom)}`,
    // What was signed counts, where that is known.
    ...describeProof(content ? { ...content, at: content.comparedAt } : proof).map((line) => `  ${line}`),
    ...(content ? describeWork(content) : [`  found ${proof.at}`]),
    signed
      ? `  signature ${problem ? "NOT VALID" : "valid"}, certificate ${signed.receipt.signature.certificateSha256}`
      : "  not signed: the target host's agent compared nothing, or is too old to sign; the control plane has recorded this",
  ]
    .map(oneLine)
    .join("\n");
}

function instantOf({ hashed }: Proof, frozenFrom: string | undefined): string {
  if (hashed?.system !== undefined) return "its source in the boot environment, where nothing else writes";
  return `${frozenFrom ?? "no instant"} by the source's clock`;
}

function describeWork({ sourceId, hashed, agentId, ...work }: ProofReceiptContent): string[] {
  const { comparedAt, agentVersion, bootImageId } = work;
  const by = (id: string, version = "unknown") => `${id} (agent ${version})`;
  return [
    `  compared ${comparedAt} by ${by(agentId, agentVersion)} with boot image ${bootImageId}`,
    `  the source's files were read by ${by(sourceId, hashed.agentVersion)}, and listed as ${hashed.list}`,
  ];
}
