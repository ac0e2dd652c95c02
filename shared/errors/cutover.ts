/** Why a cutover does not continue. */
import { CausewayError } from "./causeway-error.ts";

/** The cutover was cancelled before it began, or is being rolled back. */
export class CutoverStoppedError extends CausewayError {
  override readonly name = "CutoverStoppedError";
  readonly retryable = false;
  readonly hint =
    "Nothing to do: the source runs as before, and the standby is kept. Create another cutover when ready.";

  /** `by`: the operator who asked for it, if one did. */
  constructor(cutoverId: string, by?: string) {
    super(`cutover ${cutoverId} was stopped${by === undefined ? "" : ` by ${by}`}`);
  }
}

/** A person approves another version of the cutover than it has now. */
export class CutoverEditedError extends CausewayError {
  override readonly name = "CutoverEditedError";
  readonly retryable = false;
  readonly hint: string;

  constructor(cutoverId: string, approved: number, current: number) {
    super(`cutover ${cutoverId} has version ${current}, not ${approved}`);
    this.hint = `Read it with \`causeway cutover show ${cutoverId}\`; if it is right, approve version ${current}.`;
  }
}

/** The window closed before the cutover had committed. */
export class WindowClosedError extends CausewayError {
  override readonly name = "WindowClosedError";
  readonly retryable = false;
  readonly hint =
    "`causeway cutover show` has the time of each state. Create another cutover with a longer window; the standby is kept.";

  constructor(cutoverId: string, deadlineAt: string) {
    super(`cutover ${cutoverId} had not committed by its deadline, ${deadlineAt}`);
  }
}

/** What the source's agent stops for a fence is not listed, so nothing would be quiet. */
export class NothingFencedError extends CausewayError {
  override readonly name = "NothingFencedError";
  readonly retryable = false;
  readonly hint =
    "Start the source's agent with `--fence-service NAME.service` for each service that takes writes; then create another cutover.";

  constructor(sourceId: string) {
    super(`the agent of source ${sourceId} has no list of services, so its fence stops nothing`);
  }
}

/** A service that the source's agent is to stop does not exist, so the outage would begin and not succeed. */
export class FencedServiceMissingError extends CausewayError {
  override readonly name = "FencedServiceMissingError";
  readonly retryable = false;
  readonly hint =
    "Start the source's agent with the right names (`--fence-service NAME.service`; of a template, each instance: `NAME@INSTANCE.service`), or install the service. The agent says what it finds when it connects, and after each recovery point.";

  constructor(sourceId: string, services: readonly string[]) {
    super(
      `the systemd of source ${sourceId} knows no service ${services.join(", ")}, which its fence is to stop`,
    );
  }
}

/** The source's agent is older than what a cutover has to know of its fence. */
export class SourceAgentOutdatedError extends CausewayError {
  override readonly name = "SourceAgentOutdatedError";
  readonly retryable = false;
  readonly hint =
    "Update the source's agent to the control plane's version; once it has connected, create another cutover.";

  constructor(sourceId: string) {
    super(
      `the agent of source ${sourceId} is too old for a cutover: it does not say what its fence stops, or whether the copied disks have it`,
    );
  }
}

/** A run of the protection plan did not bring the standby to a new recovery point that is a good copy. */
export class CutoverSyncError extends CausewayError {
  override readonly name = "CutoverSyncError";
  readonly retryable = false;
  readonly hint =
    "`causeway plan PLAN show` has the run and what was wrong. See to that, then create another cutover; the standby is kept.";

  constructor(runId: string, why: string) {
    super(`run ${runId} did not make the standby a copy to cut over to: ${why}`);
  }
}
