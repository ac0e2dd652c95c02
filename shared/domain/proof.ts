/** What follows from the files of a source and those of a clone. */
import type { Failure } from "../errors.ts";
import {
  type ComparedFiles,
  type HashedFiles,
  type PointProof,
  type Proof,
  type ProofOutcome,
  proofText,
} from "../protocol/proof.ts";

/** What is known at the end, whichever way that came. */
export interface ProofFacts {
  hashed?: HashedFiles | undefined;
  compared?: ComparedFiles | undefined;
  /** Why something of it is missing. */
  failure?: Failure | undefined;
}

/** `now`: when it was found. */
export function judgedProof(facts: ProofFacts, { pointId, now }: { pointId: string; now: string }): Proof {
  const { hashed, compared } = facts;
  const { outcome, reason } = judge(facts);
  return {
    ...{ pointId, outcome, at: now },
    ...(reason === undefined ? {} : { reason: proofText(reason) }),
    ...(hashed === undefined ? {} : { hashed }),
    ...(compared === undefined ? {} : { compared }),
  };
}

/** A difference counts, whatever else is missing. Anything else that is missing means that it is unknown. */
function judge({ hashed, compared, failure }: ProofFacts): { outcome: ProofOutcome; reason?: string } {
  const unknown = (reason: string) => ({ outcome: "unknown" as const, reason });
  if (compared && compared.different > 0) return { outcome: "different" };
  if (failure) return unknown(`${failure.name}: ${failure.message}`);
  const [unread] = hashed?.unopened ?? [];
  if (unread)
    return unknown(`a file system of the source could not be opened: ${unread.place}: ${unread.why}`);
  if (!hashed) return unknown("the file systems of its source were not frozen for this recovery point");
  if (hashed.list === undefined || hashed.files === 0 || !compared)
    return unknown("no file of its source could be compared");
  const [unopened] = compared.unopened;
  if (unopened) return unknown(`a file system of the clone could not be opened: ${unopened.why}`);
  const { equal, moved } = compared;
  if (moved > 0)
    return unknown(
      `${moved} of ${hashed.files} files are missing or others on the clone; folders above them have changed since the recovery point, so they may have been moved`,
    );
  if (equal !== hashed.files) return unknown(`${equal} of ${hashed.files} files were compared`);
  return { outcome: "equal" };
}

/** From the least to the most that a proof can say of a recovery point, which never changes. */
const OUTCOMES: readonly ProofOutcome[] = ["unknown", "equal", "different"];

/** Those that say more of a recovery point: a proof that was made before, and found one of them, counts. */
export function outcomesAbove(outcome: ProofOutcome): readonly ProofOutcome[] {
  return OUTCOMES.slice(OUTCOMES.indexOf(outcome) + 1);
}

/** As the recovery point's record keeps it. */
export function pointProofOf({ outcome, compared, at }: Proof, ownerId: string): PointProof {
  return { ownerId, outcome, files: compared?.equal ?? 0, bytes: compared?.bytes ?? 0, at };
}
