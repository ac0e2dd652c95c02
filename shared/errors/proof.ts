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
