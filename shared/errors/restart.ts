/** A machine that a conversion restarts: silent, or not as it was. */
import { CausewayError } from "./causeway-error.ts";

/** The machine was restarted into the boot environment, and the boot environment was not heard in time. */
export class BootEnvironmentSilentError extends CausewayError {
  override readonly name = "BootEnvironmentSilentError";
  readonly retryable = false;
  readonly hint =
    "Look at the machine's console: the boot environment says there what it waits for. It restarts into the original system by itself.";

  constructor(why = "the boot environment was not heard within its deadline") {
    super(why);
  }
}

/**
 * The machine left the boot environment before its work there was done: its power was cut, or a deadline or
 * watchdog restarted it.
 */
export class BootEnvironmentLeftError extends CausewayError {
  override readonly name = "BootEnvironmentLeftError";
  readonly retryable = false;
  readonly hint =
    "Nothing was lost on the source. Find out why it was restarted, and start the conversion again.";

  constructor() {
    super("the machine left the boot environment before it was done");
  }
}

/** The boot environment could not put the boot state back as it was saved. Nothing was captured. */
export class BootStateNotRestoredError extends CausewayError {
  override readonly name = "BootStateNotRestoredError";
  readonly retryable = false;
  readonly hint =
    "Compare the named items with the saved boot state of this conversion before the machine is restarted again.";

  constructor(items: readonly string[]) {
    super(
      `the boot state could not be put back: ${items.join(", ") || "the boot environment does not say what"}`,
    );
  }
}

/** Nobody heard the original system in time after the machine was told to restart into it. */
export class OriginalSystemSilentError extends CausewayError {
  override readonly name = "OriginalSystemSilentError";
  readonly retryable = false;
  readonly hint =
    "Look at the machine's console, and switch it off and on if it does not go on. If it is still armed, it may start the boot environment once; from there, or at the latest with the start after, it starts its original system. Its agent then reports the boot state by itself.";

  constructor(why = "the original system was not heard within its deadline") {
    super(why);
  }
}

/** The machine runs its original system, and its boot state is not what it was. */
export class BootStateDiffersError extends CausewayError {
  override readonly name = "BootStateDiffersError";
  readonly retryable = false;
  readonly hint =
    "Look at the receipt with `causeway receipt`, and put the named items right before the machine is restarted again.";

  constructor(items: readonly string[]) {
    super(`the boot state is not what it was: ${items.join(", ")}`);
  }
}

/** A boot receipt is not to be believed: of somebody else, of another conversion, or changed. */
export class BootReceiptInvalidError extends CausewayError {
  override readonly name = "BootReceiptInvalidError";
  readonly retryable = false;
  readonly hint =
    "Check the boot state on the machine itself. If its agent is the one you enrolled, report this as a defect.";

  constructor(why: string) {
    super(`the boot receipt is not valid: ${why}`);
  }
}
