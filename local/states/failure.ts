/** A failure inside an execution, with the name that Retry and Catch match. */
export interface Failure {
  error?: string;
  cause?: string;
}

/** Thrown while a state is evaluated; the state's Retry and Catch decide what happens next. */
export class StateFailure extends Error {
  override readonly name = "StateFailure";
  readonly failure: Failure;

  constructor(error: string, cause: string, options?: ErrorOptions) {
    super(`${error}: ${cause}`, options);
    this.failure = { error, cause };
  }
}

/** A JSONata expression failed, returned no value, or returned one of the wrong type. */
export class QueryEvaluationFailure extends StateFailure {
  /** Where in the state's definition, such as `Arguments/Payload`. */
  readonly location: string;

  constructor(location: string, reason: string, options?: ErrorOptions) {
    super("States.QueryEvaluationError", reason, options);
    this.location = location;
  }
}

/** Wildcards match neither of these. They end an execution unless a rule names them. */
const TERMINAL = new Set(["States.Runtime", "States.DataLimitExceeded"]);
const TIMEOUTS = new Set(["States.Timeout", "States.HeartbeatTimeout"]);

/** Whether a Retry or Catch rule with this `errorEquals` matches the failure. */
export function matchesError(errorEquals: readonly string[], failure: Failure): boolean {
  const { error } = failure;
  return errorEquals.some((name) => {
    if (name === error) return true;
    if (error !== undefined && TERMINAL.has(error)) return false;
    if (name === "States.ALL") return true;
    if (name === "States.TaskFailed") return error === undefined || !TIMEOUTS.has(error);
    // A missed heartbeat is a kind of timeout.
    return name === "States.Timeout" && error === "States.HeartbeatTimeout";
  });
}

/** The most UTF-8 bytes of JSON that a state accepts or returns. */
export const MAX_PAYLOAD_BYTES = 262_144;

/** Throws `States.DataLimitExceeded` if `value` is too large to pass between states. */
export function checkSize(value: unknown, what: string): void {
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes > MAX_PAYLOAD_BYTES) {
    throw new StateFailure(
      "States.DataLimitExceeded",
      `${what} has ${bytes} bytes; the maximum is ${MAX_PAYLOAD_BYTES}`,
    );
  }
}
