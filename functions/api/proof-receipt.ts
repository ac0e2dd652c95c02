import type { Proved } from "#shared/domain/proof-receipt.ts";
import { NotFoundError } from "#shared/errors.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import type { KeptProof, ProvedReceipt } from "#shared/protocol/kept-receipt.ts";
import type { Store } from "../store/store.ts";

interface ProofOwner extends Partial<Proved> {
  id: string;
  targetId: string;
}

/** What is kept of a proof. `isAsked`: whether files were to be compared. */
export async function keptProofOf(
  { targetId, proof, proofReceipt: receipt }: ProofOwner,
  isAsked: boolean,
  { agents, points }: Pick<Store, "agents" | "points">,
): Promise<KeptProof> {
  if (!proof) return { state: isAsked ? "none" : "not-asked" };
  const { frozen } = await points.get(proof.pointId);
  const { certificatePem } = await agents.get(targetId);
  return {
    ...{ state: "made", proof, frozenFrom: frozen?.from },
    ...(receipt && certificatePem ? { signed: { receipt, certificatePem } } : {}),
  };
}

/** The receipt of a drill or recovery. Throws `NotFoundError` if no files were to be compared. */
export async function provedReceiptOf(
  owner: ProofOwner & { prove?: object | undefined },
  store: Pick<Store, "agents" | "points">,
): Promise<ProvedReceipt> {
  const { id, prove } = owner;
  const proof = await keptProofOf(owner, prove !== undefined, store);
  if (proof.state === "not-asked")
    throw new NotFoundError(`receipt of ${ownerKind(id)}`, id, "It was started without --prove.");
  return { ownerId: id, proof };
}
