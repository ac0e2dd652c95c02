/** What a proof can find. */
import { CausewayError } from "./causeway-error.ts";

/** Files of a clone are not what the source's kernel reads. */
export class CopyDiffersError extends CausewayError {
  override readonly name = "CopyDiffersError";
  readonly retryable = false;
  readonly hint: string;

  /** `first`: the path of one of them. */
  constructor(pointId: string, different: number, first: string | undefined) {
    super(
      `${different} files of a clone of recovery point ${pointId} differ from their source${first === undefined ? "" : `, such as ${first}`}`,
    );
    this.hint = `Do not use this recovery point. \`causeway repo check SOURCE\` says whether what is stored is whole; if the source's clock was set back since, prove a new point.`;
  }
}

/** A proof receipt cannot be trusted: it is another agent's, of another comparison, or altered. */
export class ProofReceiptInvalidError extends CausewayError {
  override readonly name = "ProofReceiptInvalidError";
  readonly retryable = false;
  readonly hint =
    "Prove the recovery point again. If the target host's agent is the one that you enrolled, report this as a bug.";

  constructor(why: string) {
    super(`the target host's receipt of the comparison is not valid: ${why}`);
  }
}
