/** Why a system is not adapted. */
import { CausewayError } from "#shared/errors.ts";

const HINTS = {
  unchanged:
    "The disks are as they were. Correct on the source what the message names, or adapt the machine by hand from a rescue system.",
  "partly changed":
    "Some files may be changed already. Do not start the machine; adapt it again, which makes the changes that are left.",
};

/** The guest cannot adapt the system on the disks. */
export class SystemNotAdaptedError extends CausewayError {
  override readonly name = "SystemNotAdaptedError";
  readonly retryable = false;
  readonly hint: string;

  constructor(why: string, disks: "unchanged" | "partly changed") {
    super(`the system is not adapted: ${why}`);
    this.hint = HINTS[disks];
  }
}
