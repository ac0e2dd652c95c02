/** Why a machine may not run in place of its source. */
import { CausewayError } from "./causeway-error.ts";

/** The source is not fenced. Nothing was changed. */
export class FenceNotUpError extends CausewayError {
  override readonly name = "FenceNotUpError";
  readonly retryable = false;
  readonly hint: string;

  /** `marker`: a file of another agent's fence, which keeps services down all the same. */
  constructor(marker?: string) {
    super(
      marker === undefined
        ? "this machine is not fenced"
        : `the agent of this data folder has not fenced this machine, but ${marker} keeps services down`,
    );
    this.hint =
      marker === undefined
        ? "Nothing to do: its services may run. Start them if they do not."
        : `Name the data folder of the agent that put the fence up. If that is lost, and the machine in its place is off and stays off: remove ${marker}, run \`systemctl daemon-reload\`, and start the services.`;
  }
}

/** The fence of a source is up, or down, but not for every service. */
export class FenceIncompleteError extends CausewayError {
  override readonly name = "FenceIncompleteError";
  readonly retryable = false;
  readonly hint: string;

  /** `failures`: what went wrong, by service or file. */
  constructor(state: "up" | "down", failures: ReadonlyMap<string, string>) {
    const each = [...failures].map(([name, why]) => `${name} (${why.slice(0, 200)})`).join("; ");
    const wanted = state === "up" ? "stopped and kept down" : "started";
    super(`the fence is ${state}, but not everything could be ${wanted}: ${each}`);
    this.hint =
      state === "up"
        ? "Stop what still runs beside the machine in its place, at the source: `causeway fence` lists it."
        : "Start what should run, at the source.";
  }
}

/** The source was quiet and may have served clients since. */
export class FenceInterruptedError extends CausewayError {
  override readonly name = "FenceInterruptedError";
  readonly retryable = false;
  readonly hint =
    "What its clients wrote since is in no copy. See why that happened, then create another cutover; the standby is kept.";

  constructor() {
    super(
      "the source restarted, its fence went down, or its services ran, after they were stopped: they may have served clients",
    );
  }
}

/** A hook of a source did not succeed before its services were to be stopped, or after they may run again. */
export class CutoverHookFailedError extends CausewayError {
  override readonly name = "CutoverHookFailedError";
  readonly retryable = false;
  readonly hint =
    "Look at the hook in /etc/causeway/cutover-hooks of the source, and at its agent's log, which has what the hook wrote.";

  /** `script`: its hook and phase. */
  constructor(script: string, why: string) {
    super(`the cutover hook ${script} did not succeed: ${why}`);
  }
}

/** The lease of this term can no longer be renewed: the machine must stay paused until it is switched off. */
export class LeaseEndedError extends CausewayError {
  override readonly name = "LeaseEndedError";
  readonly retryable = false;
  readonly hint =
    "The machine stays paused: the source, or another machine in its place, has the right to run. `causeway lease SOURCE` shows which; `causeway machine stop --at-once` ends this one.";

  constructor(sourceId: string, term: number) {
    super(`lease ${term} of source ${sourceId} has ended`);
  }
}

/** An operator said that the source is off, but its agent is connected, or was after that. */
export class SourceConnectedError extends CausewayError {
  override readonly name = "SourceConnectedError";
  readonly retryable = false;
  readonly hint =
    "Switch the source off, wait until `causeway sources` shows it as disconnected, and say again that it is off.";

  constructor(sourceId: string, at: string) {
    super(`source ${sourceId} is not off: its agent was connected at ${at}`);
  }
}
