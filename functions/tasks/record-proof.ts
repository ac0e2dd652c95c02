import * as z from "zod";
import { requireGoing } from "#shared/domain/cutover/cutover.ts";
import { judgedProof, pointProofOf } from "#shared/domain/proof.ts";
import { requireRunningRecovery } from "#shared/domain/recovery.ts";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { CopyDiffersError } from "#shared/errors.ts";
import { CutoverId, PointId, RecoveryId } from "#shared/protocol/ids.ts";
import { ComparedFiles, HashedFiles, type Proof, type ProofOutcome } from "#shared/protocol/proof.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { buildStore } from "../store/build.ts";
import type { StoreDeps } from "../store/deps.ts";

export const Input = z.object({
  ownerId: z.union([RecoveryId, CutoverId]),
  pointId: PointId,
  hashed: HashedFiles.optional(),
  compared: ComparedFiles.optional(),
  failure: WorkflowError.optional(),
});

export const handler = taskHandler({ name: "tasks/record-proof", input: Input, build: buildStore, run });

/**
 * Stores what a proof found with its recovery or cutover, and on the recovery point's record. Repeating it
 * changes nothing. Throws `CopyDiffersError` after it has stored a difference, and what a recovery or cutover
 * throws that was stopped.
 */
export async function run(
  { ownerId, pointId, failure, ...facts }: z.output<typeof Input>,
  { store, clock }: StoreDeps,
): Promise<{ outcome: ProofOutcome }> {
  const now = timestamp(clock);
  const found = judgedProof({ ...facts, failure: failure && workflowFailure(failure) }, { pointId, now });
  const proof = await keep(ownerId, found, { store, now });
  const { outcome, compared, at } = proof;
  await store.points.noteProof(pointId, pointProofOf(proof, ownerId));
  const { equal = 0, different = 0 } = compared ?? {};
  await store.audit.addOnce({
    at,
    actor: "causeway",
    action: "copy-proved",
    subject: ownerId,
    outcome: "done",
    details: { pointId, outcome, equal, different },
  });
  if (outcome === "different") throw new CopyDiffersError(pointId, different, compared?.differences[0]?.path);
  return { outcome };
}

/** The first one stays. */
async function keep(
  ownerId: string,
  found: Proof,
  { store, now }: Pick<StoreDeps, "store"> & { now: string },
): Promise<Proof> {
  if (RecoveryId.safeParse(ownerId).success) {
    const { proof } = await store.recoveries.modify(ownerId, (one) => {
      requireRunningRecovery(one);
      return one.proof === undefined ? { ...one, proof: found } : one;
    });
    return proof ?? found;
  }
  const { proof } = await store.cutovers.modify(ownerId, (one) => {
    requireGoing(one, now);
    return one.proof === undefined ? { ...one, proof: found } : one;
  });
  return proof ?? found;
}
