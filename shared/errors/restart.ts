/** What can go wrong with a machine that a conversion restarts. */
import { CausewayError } from "./causeway-error.ts";

/** The machine was restarted, but its boot environment did not report within the deadline. */
export class BootEnvironmentSilentError extends CausewayError {
  override readonly name = "BootEnvironmentSilentError";
  readonly retryable = false;
  readonly hint =
    "Look at the machine's console, where the boot environment shows what it is waiting for. It restarts into the original system by itself.";

  constructor(why = "the boot environment did not report within its deadline") {
    super(why);
  }
}

/**
 * The machine left the boot environment before the work there was done: it lost power, or a deadline or
 * watchdog restarted it.
 */
export class BootEnvironmentLeftError extends CausewayError {
  override readonly name = "BootEnvironmentLeftError";
  readonly retryable = false;
  readonly hint =
    "Nothing was lost on the source. Find out why it restarted, and start the conversion again.";

  constructor() {
    super("the machine left the boot environment before the work there was done");
  }
}

/**
 * The source could start its own services after its restart although it is to be fenced: what fences it is on
 * a file system that they do not wait for.
 */
export class ReturnNotFencedError extends CausewayError {
  override readonly name = "ReturnNotFencedError";
  readonly retryable = false;
  readonly hint =
    "Name the file system in the source's /etc/fstab, without `noauto`, `nofail` and `x-systemd.automount`; or quiesce it hot.";

  constructor(place: string, why: string) {
    super(`the source could not be fenced at its return, by ${place}: ${why}`);
  }
}

/** The boot environment could not restore the saved boot state. Nothing was captured. */
export class BootStateNotRestoredError extends CausewayError {
  override readonly name = "BootStateNotRestoredError";
  readonly retryable = false;
  readonly hint =
    "Compare the named items with this conversion's saved boot state before you restart the machine.";

  constructor(items: readonly string[]) {
    super(
      `the boot state could not be restored: ${items.join(", ") || "the boot environment does not say which items"}`,
    );
  }
}

/** The machine was restarted into its original system, which did not report within the deadline. */
export class OriginalSystemSilentError extends CausewayError {
  override readonly name = "OriginalSystemSilentError";
  readonly retryable = false;
  readonly hint =
    "Look at the machine's console, and power-cycle the machine if it hangs. If it is still armed, it can start the boot environment once; the boot environment, or at the latest the next start, leads back to the original system. The agent there then reports the boot state by itself.";

  constructor(why = "the original system did not report within its deadline") {
    super(why);
  }
}

/** The machine runs its original system, but its boot state is not what it was. */
export class BootStateDiffersError extends CausewayError {
  override readonly name = "BootStateDiffersError";
  readonly retryable = false;
  readonly hint =
    "Look at the receipt with `causeway receipt`, and correct the named items before you restart the machine.";

  constructor(items: readonly string[]) {
    super(`the boot state is not what it was: ${items.join(", ")}`);
  }
}

/** A boot receipt cannot be trusted: it is another agent's, of another conversion, or altered. */
export class BootReceiptInvalidError extends CausewayError {
  override readonly name = "BootReceiptInvalidError";
  readonly retryable = false;
  readonly hint =
    "Check the boot state on the machine itself. If its agent is the one that you enrolled, report this as a bug.";

  constructor(why: string) {
    super(`the boot receipt is not valid: ${why}`);
  }
}

/** The boot environment cannot read what it was started to do, so it does nothing. */
export class JobUnreadableError extends CausewayError {
  override readonly name = "JobUnreadableError";
  readonly retryable = false;
  readonly hint =
    "Restart the machine: it starts its original system, whose agent restores the boot loader and reports. Then check the disk on which /boot is, and convert again.";

  constructor(why: string) {
    super(`the job of this boot environment cannot be read: ${why}`);
  }
}
