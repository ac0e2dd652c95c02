/** The receipt of a proof: what a target host compared, signed by its agent. */
import { agentSignature, findSignatureProblem } from "../protocol/agent-signature.ts";
import { canonicalJson } from "../protocol/canonical-json.ts";
import {
  type ComparedFiles,
  type HashedFiles,
  MOST_IN_RECEIPT,
  type Proof,
  type ProofReceipt,
  ProofReceiptContent,
} from "../protocol/proof.ts";
import { judgedProof } from "./proof.ts";

/** As the record of a drill, recovery or cutover keeps it. */
export interface Proved {
  proof: Proof;
  /** Absent if the target host compared nothing, or its agent is too old to sign. */
  proofReceipt?: ProofReceipt | undefined;
}

/** What was compared with what, as the control plane knows it, too. */
export interface ProvedFacts {
  ownerId: string;
  sourceId: string;
  pointId: string;
  /** Absent if the files were read in the boot environment. */
  frozenFrom?: string | undefined;
  /** The target host's agent. */
  agentId: string;
  hashed: HashedFiles;
  compared: ComparedFiles;
}

/** What only the target host knows of its work. */
type Work = Pick<ProofReceiptContent, "agentVersion" | "bootImageId" | "comparedAt">;

/** Signs with the key (PEM, P-256) of the target host's agent. */
export function signProofReceipt(
  facts: ProvedFacts,
  work: Work,
  { keyPem, certificatePem }: { keyPem: string; certificatePem: string },
): ProofReceipt {
  const content = contentOf(facts, work);
  return { content, signature: agentSignature(content, keyPem, certificatePem) };
}

/**
 * Why a receipt is not valid; `undefined` if it is. `certificatePem` must be the certificate that the control
 * plane has stored for the target host's agent. Besides the signature, this checks that the outcome follows
 * from what was found.
 */
export function findProofReceiptProblem(receipt: ProofReceipt, certificatePem: string): string | undefined {
  const problem = findSignatureProblem(receipt, certificatePem);
  if (problem !== undefined) return problem;
  const { content } = receipt;
  const { outcome } = contentOf(content, content);
  return content.outcome === outcome ? undefined : "its outcome contradicts what it says was found";
}

/**
 * Whether the source's agent read files in the system that its recovery point is of: only a point of the boot
 * environment has no instant.
 */
export function isOfItsSystem({ system }: HashedFiles, frozenFrom: string | undefined): boolean {
  return (frozenFrom === undefined) === (system !== undefined);
}

/** Whether it is the receipt of this comparison, and of no other one. */
export function isReceiptOf(facts: ProvedFacts, { content }: ProofReceipt): boolean {
  // Another version of the agent may give the reason in other words.
  const comparable = ({ reason: _, ...rest }: ProofReceiptContent) => canonicalJson(rest);
  return comparable(contentOf(facts, content)) === comparable(content);
}

function contentOf(facts: ProvedFacts, work: Work): ProofReceiptContent {
  const { ownerId, sourceId, pointId, frozenFrom, agentId, hashed, compared } = facts;
  const { agentVersion, bootImageId, comparedAt } = work;
  const { outcome, reason } = judgedProof({ hashed, compared }, { pointId, now: comparedAt });
  const first = <T>(list: readonly T[]) => list.slice(0, MOST_IN_RECEIPT);
  return ProofReceiptContent.parse({
    ...{ format: 1, ownerId, sourceId, pointId, agentId, agentVersion, bootImageId, comparedAt },
    ...(frozenFrom === undefined ? {} : { frozenFrom }),
    hashed: {
      ...{ ...hashed, leftOut: first(hashed.leftOut) },
      ...(hashed.unopened ? { unopened: first(hashed.unopened) } : {}),
    },
    compared: {
      ...compared,
      ...{ differences: first(compared.differences), unopened: first(compared.unopened) },
    },
    ...{ outcome, ...(reason === undefined ? {} : { reason }) },
  });
}
