/** Why a conversion or one of its steps ended, as the control plane sees it. */
import { type OwnerKind, ownerKind } from "../protocol/ids.ts";
import { CausewayError } from "./causeway-error.ts";
import { CutoverStoppedError } from "./cutover.ts";

/** A preflight rule does not hold. Nothing was touched. */
export class PreflightFailedError extends CausewayError {
  override readonly name = "PreflightFailedError";
  readonly retryable = false;
  readonly hint: string;
  override readonly details: { rules: { id: string; message: string; remedy: string }[] };

  constructor(rules: { id: string; message: string; remedy: string }[]) {
    super(`preflight failed: ${rules.map((rule) => rule.message).join("; ")}`);
    this.hint = rules.map((rule) => rule.remedy).join(" ");
    this.details = { rules };
  }
}

/** The operator cancelled the conversion. */
export class ConversionCancelledError extends CausewayError {
  override readonly name = "ConversionCancelledError";
  readonly retryable = false;
  readonly hint =
    "Nothing to do: the source and everything else that the conversion used is free again. Start a new one when ready.";

  constructor(conversionId: string) {
    super(`conversion ${conversionId} was cancelled`);
  }
}

/** The run's plan was deleted, or the cutover that made the run was stopped. */
export class RunStoppedError extends CausewayError {
  override readonly name = "RunStoppedError";
  readonly retryable = false;
  readonly hint = "Nothing to do: the source is free again, and the recovery points so far are kept.";

  constructor(runId: string) {
    super(`protection run ${runId} was stopped with its plan or cutover`);
  }
}

/** The operator cancelled the drill. */
export class DrillCancelledError extends CausewayError {
  override readonly name = "DrillCancelledError";
  readonly retryable = false;
  readonly hint = "Nothing to do: the target host removes the clone. Start another drill when ready.";

  constructor(drillId: string) {
    super(`drill ${drillId} was cancelled`);
  }
}

/** The operator cancelled the recovery. */
export class RecoveryCancelledError extends CausewayError {
  override readonly name = "RecoveryCancelledError";
  readonly retryable = false;
  readonly hint =
    "If the machine is defined already, it stays: `causeway machine stop` and `causeway machine remove` end it.";

  constructor(recoveryId: string) {
    super(`recovery ${recoveryId} was cancelled`);
  }
}

/** The check's workflow has given it up. */
export class CheckEndedError extends CausewayError {
  override readonly name = "CheckEndedError";
  readonly retryable = false;
  readonly hint = "Nothing to do: the next check of the source begins from the start.";

  constructor(checkId: string) {
    super(`check ${checkId} has ended`);
  }
}

const cancellations: Readonly<Record<OwnerKind, new (ownerId: string) => CausewayError>> = {
  conversion: ConversionCancelledError,
  run: RunStoppedError,
  drill: DrillCancelledError,
  check: CheckEndedError,
  recovery: RecoveryCancelledError,
  cutover: CutoverStoppedError,
};

/** Why the commands of an owner that an operator ended are no longer carried out. */
export function cancellationOf(ownerId: string): CausewayError {
  return new cancellations[ownerKind(ownerId)](ownerId);
}

/**
 * The agent does not know this command or cannot read it: the agent and the control plane have different
 * versions.
 */
export class UnknownCommandError extends CausewayError {
  override readonly name = "UnknownCommandError";
  readonly retryable = false;
  readonly hint = "Update the agent to the control plane's version.";
}

/**
 * A command reached the agent outside the time for which it was signed, by the cloud's clock. The agent did
 * not carry it out.
 */
export class CommandOutOfTimeError extends CausewayError {
  override readonly name = "CommandOutOfTimeError";
  readonly retryable = true;
  readonly hint =
    "Correct the machine's clock, check in the agent's log that the agent reaches the cloud, and begin again.";

  constructor(why: string) {
    super(`the agent did not carry out the command: ${why}`);
  }
}

/** Step Functions' own `States.HeartbeatTimeout`, in our words. */
export class AgentSilentError extends CausewayError {
  override readonly name = "AgentSilentError";
  readonly retryable = true;
  readonly hint = "Check that the agent is running and reaches the control plane; then begin again.";
}

/**
 * A cloud service that the control plane or an agent needs refused or did not answer, even after several
 * attempts.
 */
export class ServiceUnavailableError extends CausewayError {
  override readonly name = "ServiceUnavailableError";
  readonly retryable = true;
  readonly hint =
    "Try again in a moment. If it persists, check the log of the program that reports it, and its connection to the service.";
}

/** Step Functions' `States.Timeout`, in our words: the agent is alive, but the step exceeded its limit. */
export class StepTimedOutError extends CausewayError {
  override readonly name = "StepTimedOutError";
  readonly retryable = false;
  readonly hint = "Check the step's progress and bottleneck; then begin again.";

  constructor() {
    super("the step took longer than its limit");
  }
}

/**
 * A workflow that the conversion's workflow had started was stopped from outside, or its outcome was lost.
 */
export class WorkflowInterruptedError extends CausewayError {
  override readonly name = "WorkflowInterruptedError";
  readonly retryable = false;
  readonly hint =
    "Find out who stopped it: its history in Step Functions shows how far it was. Then begin again.";
}
