/** The receipts of drills, recoveries and cutovers, as the API shows them. */
import * as z from "zod";
import { Timestamp } from "./common.ts";
import { ConversionReceipt } from "./conversion-receipt.ts";
import { OwnerId } from "./ids.ts";
import { Proof, ProofReceipt } from "./proof.ts";

/** A proof receipt, with the certificate to check it without the control plane. */
const SignedProof = z.object({
  receipt: ProofReceipt,
  /** The certificate that the control plane has stored for the target host's agent. */
  certificatePem: z.string(),
});

/** `not-asked`: no files were to be compared. `none`: they were, and no result is recorded. */
export const KeptProof = z.discriminatedUnion("state", [
  z.object({ state: z.literal("not-asked") }),
  z.object({ state: z.literal("none") }),
  z.object({
    state: z.literal("made"),
    /** As the control plane has recorded it. */
    proof: Proof,
    /** When the freeze of the recovery point began, by the source's clock; absent if it was not frozen. */
    frozenFrom: Timestamp.optional(),
    /** Absent if the target host's agent compared nothing, or is too old to sign. */
    signed: SignedProof.optional(),
  }),
]);
export type KeptProof = z.infer<typeof KeptProof>;

/** Of a drill or recovery. */
export const ProvedReceipt = z.object({ ownerId: OwnerId, proof: KeptProof });
export type ProvedReceipt = z.infer<typeof ProvedReceipt>;

/** Of a cutover: also the boot receipt of its source, if that was restarted and has signed one. */
export const CutoverReceipt = ConversionReceipt.partial({
  receipt: true,
  receivedAt: true,
  certificatePem: true,
}).extend({ proof: KeptProof });
export type CutoverReceipt = z.infer<typeof CutoverReceipt>;
