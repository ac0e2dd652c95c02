import { CausewayError } from "./causeway-error.ts";
import { asSystemRefusal } from "./system.ts";

/** An error in an agent's event, in a state machine's cause or in a conversion's failure. */
export interface Failure {
  name: string;
  message: string;
  hint: string;
  retryable: boolean;
  details?: Record<string, unknown> | undefined;
}

/**
 * What to report for any thrown value. A Causeway error from a worker thread arrives as a plain `Error` with
 * the same fields, and counts as one. An error of the operating system becomes a `SystemRefusedError`. Any
 * other error is a bug of ours: it keeps its message under the name `UnexpectedError`.
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof CausewayError || isCausewayErrorFromThread(error)) {
    const { name, message, hint, retryable, details } = error;
    return { name, message, hint, retryable, details: { ...details } };
  }
  const refusal = asSystemRefusal(error);
  if (refusal) return failureOf(refusal);
  return {
    name: "UnexpectedError",
    message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    hint: "This is a defect of Causeway: please report it with the log around this time.",
    retryable: false,
  };
}

function isCausewayErrorFromThread(error: unknown): error is CausewayError {
  return (
    error instanceof Error &&
    "hint" in error &&
    typeof error.hint === "string" &&
    "retryable" in error &&
    typeof error.retryable === "boolean" &&
    "details" in error
  );
}
