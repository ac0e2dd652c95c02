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

/** This target host cannot start the guest that adapts systems. */
export class NoBootImageError extends CausewayError {
  override readonly name = "NoBootImageError";
  readonly retryable = false;
  readonly hint =
    "Build a boot image (`npm run boot-image`), copy its folder to the target host, and start the agent there once with `--boot-image FOLDER`.";

  constructor() {
    super("this target host has no boot image, in which it could adapt a system");
  }
}
