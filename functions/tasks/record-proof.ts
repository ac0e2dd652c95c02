import * as z from "zod";
import { isOpen } from "#shared/domain/command.ts";
import { requireGoing } from "#shared/domain/cutover/cutover.ts";
import { provedDrill } from "#shared/domain/drill.ts";
import { judgedProof, pointProofOf } from "#shared/domain/proof.ts";
import {
  findProofReceiptProblem,
  isOfItsSystem,
  isReceiptOf,
  type Proved,
  type ProvedFacts,
} from "#shared/domain/proof-receipt.ts";
import { requireRunningRecovery } from "#shared/domain/recovery.ts";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import {
  CopyDiffersError,
  type Failure,
  failureOf,
  ProofReceiptInvalidError,
  WrongStateError,
} from "#shared/errors.ts";
import { commandKinds } from "#shared/protocol/commands.ts";
import { CutoverId, DrillId, ownerKind, PointId, RecoveryId } from "#shared/protocol/ids.ts";
import {
  ComparedFiles,
  HashedFiles,
  type Proof,
  type ProofOutcome,
  type ProofReceipt,
  proofCommands,
} from "#shared/protocol/proof.ts";
import { buildCommanding } from "../conversion/build.ts";
import { cancelCommands } from "../conversion/cancel-commands.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";

export const Input = z.object({
  ownerId: z.union([DrillId, RecoveryId, CutoverId]),
  pointId: PointId,
  hashed: HashedFiles.optional(),
  compared: commandKinds["compare-files"].output.optional(),
  failure: WorkflowError.optional(),
});

export const handler = taskHandler({
  name: "tasks/record-proof",
  input: Input,
  build: buildCommanding,
  run,
});

/**
 * Stores what a proof found with its drill, recovery or cutover, and on the recovery point's record.
 * Repeating it changes nothing. After a failure it cancels what agents still do or are to do for the proof.
 * Throws `CopyDiffersError` after it has stored a difference, and what a drill, recovery or cutover throws
 * that was stopped.
 */
export async function run(
  input: z.output<typeof Input>,
  deps: CommandDeps,
): Promise<{ outcome: ProofOutcome }> {
  const { ownerId, pointId, failure } = input;
  const { store } = deps;
  const now = timestamp(deps.clock);
  const proof = await keep(ownerId, await provedBy(input, { store, now }), { store, now });
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
  if (failure) await giveUp(ownerId, deps);
  if (outcome === "different") throw new CopyDiffersError(pointId, different, compared?.differences[0]?.path);
  return { outcome };
}

/** A difference counts even if its receipt is not valid; anything else then proves nothing. */
async function provedBy(
  { ownerId, pointId, hashed, compared: answer, failure }: z.output<typeof Input>,
  { store, now }: Pick<CommandDeps, "store"> & { now: string },
): Promise<Proved> {
  const compared = answer && ComparedFiles.parse(answer);
  const receipt = answer?.receipt;
  const { frozen } = await store.points.get(pointId);
  const facts = { ownerId, pointId, frozenFrom: frozen?.from, hashed, compared };
  const invalid = await failureIn(facts, receipt, store);
  const proof = judgedProof(
    { hashed, compared, failure: failure ? workflowFailure(failure) : invalid },
    { pointId, now },
  );
  return { proof, ...(receipt && !invalid ? { proofReceipt: receipt } : {}) };
}

interface Found
  extends Pick<ProvedFacts, "ownerId" | "pointId" | "frozenFrom">,
    Pick<z.output<typeof Input>, "hashed" | "compared"> {}

/** Why what the agents say cannot be trusted; `undefined` if it can. */
async function failureIn(
  found: Found,
  receipt: ProofReceipt | undefined,
  store: CommandDeps["store"],
): Promise<Failure | undefined> {
  if (found.hashed?.system !== undefined && found.frozenFrom !== undefined)
    return failureOf(
      new WrongStateError(
        "the source's agent says that it read files in another system than it was asked in",
      ),
    );
  const problem = receipt && (await problemOf(receipt, found, store));
  return problem === undefined ? undefined : failureOf(new ProofReceiptInvalidError(problem));
}

/** Why the receipt is not valid; `undefined` if it is. */
async function problemOf(
  receipt: ProofReceipt,
  { hashed, compared, ...about }: Found,
  store: CommandDeps["store"],
): Promise<string | undefined> {
  const { sourceId, targetId: agentId = "" } = await store.owners.get(about.ownerId);
  const { certificatePem } = await store.agents.get(agentId);
  if (!hashed || !compared) return "nothing was compared";
  if (!isOfItsSystem(hashed, about.frozenFrom)) return "its source was read in another system than its point";
  if (!isReceiptOf({ ...about, sourceId, agentId, hashed, compared }, receipt))
    return "it is of another comparison";
  return certificatePem
    ? findProofReceiptProblem(receipt, certificatePem)
    : "the agent's certificate is not known";
}

/**
 * The first one of a recovery point stays, and is noted with its point even if its owner was stopped before
 * that was done. A cutover keeps that of the last point that was compared.
 */
async function keep(
  ownerId: string,
  found: Proved,
  { store, now }: Pick<CommandDeps, "store"> & { now: string },
): Promise<Proof> {
  const kind = ownerKind(ownerId);
  if (kind === "drill") {
    const { proof } = await store.drills.modify(ownerId, (one) => provedDrill(one, found));
    return proof ?? found.proof;
  }
  if (kind === "recovery") {
    const { proof } = await store.recoveries.modify(ownerId, (one) => {
      if (one.proof !== undefined) return one;
      requireRunningRecovery(one);
      return { ...one, ...found };
    });
    return proof ?? found.proof;
  }
  const { proof } = await store.cutovers.modify(ownerId, (one) => {
    if (one.proof?.pointId === found.proof.pointId) return one;
    requireGoing(one, now);
    const { proofReceipt: _, ...rest } = one;
    return { ...rest, ...found };
  });
  return proof ?? found.proof;
}

/** An agent that was silent would otherwise read all files once it is back, for a proof that has ended. */
async function giveUp(ownerId: string, deps: CommandDeps): Promise<void> {
  const { commands } = await deps.store.owners.withCommands(ownerId);
  await cancelCommands(
    commands.filter((command) => isOpen(command) && command.kind in proofCommands),
    deps,
  );
}
