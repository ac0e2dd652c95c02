/** What ends a conversion or one of its steps, seen from the control plane. */
import { CausewayError } from "./causeway-error.ts";

/** A rule that must hold before anything is touched does not. */
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
  readonly hint = "Nothing to do: what the conversion had taken was released. Start a new one when ready.";

  constructor(conversionId: string) {
    super(`conversion ${conversionId} was cancelled`);
  }
}

/**
 * The agent does not know this command or cannot read it: agent and control plane are of different versions.
 */
export class UnknownCommandError extends CausewayError {
  override readonly name = "UnknownCommandError";
  readonly retryable = false;
  readonly hint = "Update the agent to the version of the control plane.";
}

/**
 * A command reached its agent at another time than it was signed for, by the cloud's clock. It was not done.
 */
export class CommandOutOfTimeError extends CausewayError {
  override readonly name = "CommandOutOfTimeError";
  readonly retryable = true;
  readonly hint =
    "Put the machine's clock right, see in its agent's log whether it reaches the cloud, and start the conversion again.";

  constructor(why: string) {
    super(`the agent did not do what it was asked: ${why}`);
  }
}

/** Step Functions' own `States.HeartbeatTimeout`, in our words. */
export class AgentSilentError extends CausewayError {
  override readonly name = "AgentSilentError";
  readonly retryable = true;
  readonly hint = "Check that the agent runs and reaches the control plane; then start the conversion again.";
}

/**
 * A cloud service that the control plane or an agent stands on refused or did not answer, in spite of
 * repeated attempts.
 */
export class ServiceUnavailableError extends CausewayError {
  override readonly name = "ServiceUnavailableError";
  readonly retryable = true;
  readonly hint =
    "Try again in a moment; if it persists, look at the log of who reports it, and at its way to the service.";
}

/** Step Functions' own `States.Timeout`, in our words: the agent lives, but the step's limit has passed. */
export class StepTimedOutError extends CausewayError {
  override readonly name = "StepTimedOutError";
  readonly retryable = false;
  readonly hint = "Look at the progress and the bottleneck of the step; then start the conversion again.";

  constructor() {
    super("the step took longer than its limit");
  }
}
