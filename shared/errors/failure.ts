import { CausewayError } from "./causeway-error.ts";
import { asSystemRefusal } from "./system.ts";

/** An error as it travels: in agents' events, in a state machine's cause, in a conversion's failure. */
export interface Failure {
  name: string;
  message: string;
  hint: string;
  retryable: boolean;
  details?: Record<string, unknown> | undefined;
}

/**
 * What to report for any thrown value. One of ours that a worker thread threw arrives as a plain `Error` with
 * our fields, and counts as ours. What the operating system refused is put into words. Any other error
 * keeps its message under the name `UnexpectedError`: our bug, so worth a report.
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof CausewayError || isOursFromAThread(error)) {
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

function isOursFromAThread(error: unknown): error is CausewayError {
  return (
    error instanceof Error &&
    "hint" in error &&
    typeof error.hint === "string" &&
    "retryable" in error &&
    typeof error.retryable === "boolean" &&
    "details" in error
  );
}
