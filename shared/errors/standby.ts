/** What can be wrong with a standby on a target host. */
import { CausewayError } from "./causeway-error.ts";

/** Something is in the standby's place that this agent did not write. Nothing was read or changed. */
export class StandbyNotOursError extends CausewayError {
  override readonly name = "StandbyNotOursError";
  readonly retryable = false;
  readonly hint =
    "Move what is there away: the agent makes the standby again from the recovery point. It changes only what it wrote itself.";

  constructor(planId: string, why: string) {
    super(`the standby of plan ${planId} is not used: ${why}`);
  }
}

/** A recovery point is being applied to the standby, or it is being checked or cloned. */
export class StandbyBusyError extends CausewayError {
  override readonly name = "StandbyBusyError";
  readonly retryable = true;
  readonly hint = "Try again once the other work on the standby has ended.";

  constructor(planId: string, options: ErrorOptions) {
    super(`the standby of plan ${planId} is in use`, options);
  }
}

/** The standby does not equal the recovery point that it should. Nothing was changed. */
export class StandbyNotAtPointError extends CausewayError {
  override readonly name = "StandbyNotAtPointError";
  readonly retryable = false;
  readonly hint =
    "Apply the recovery point to the standby first, or write its disks from the repository (materialise).";

  constructor(planId: string, why: string) {
    super(`the standby of plan ${planId} cannot be used for this: ${why}`);
  }
}
