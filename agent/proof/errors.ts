/** Why files are not compared. */
import { CausewayError } from "#shared/errors.ts";

/** The guest cannot read the clone's disks. */
export class FilesNotComparedError extends CausewayError {
  override readonly name = "FilesNotComparedError";
  readonly retryable = false;
  readonly hint = "The clone is as it was. `causeway browse` may show more of what is on the disks.";

  constructor(why: string) {
    super(`the files of the clone are not compared: ${why}`);
  }
}
