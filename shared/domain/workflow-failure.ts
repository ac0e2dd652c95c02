/** Turns the error and cause of a failed workflow into a failure with a hint. */
import { z } from "zod";
import {
  AgentSilentError,
  BootCheckFailedError,
  BootEnvironmentSilentError,
  BootStateNotRestoredError,
  type Failure,
  failureOf,
  OriginalSystemSilentError,
  StepTimedOutError,
} from "../errors.ts";
import { Failure as FailureSchema } from "../protocol/common.ts";
import { BootCheck } from "../protocol/resources.ts";

/** The error as Step Functions passes it to a Catch. */
export const WorkflowError = z.object({
  Error: z.string().default("States.TaskFailed"),
  Cause: z.string().default(""),
});
export type WorkflowError = z.infer<typeof WorkflowError>;

const Names = z.array(z.string()).catch([]);
const LambdaCause = z.object({ errorMessage: z.string() });

/** The failure that an agent or a function reported; errors of Step Functions itself in our words. */
export function workflowFailure(error: WorkflowError): Failure {
  if (error.Error === "States.HeartbeatTimeout")
    return failureOf(new AgentSilentError("the agent has stopped reporting"));
  if (error.Error === "States.Timeout") return failureOf(new StepTimedOutError());
  if (error.Error === "BootCheckFailedError") return notBooted(error.Cause);
  const report = reported(error.Cause);
  if (report) return report;
  // The workflow raises these itself when a wait times out.
  if (error.Error === "BootEnvironmentSilentError") return failureOf(new BootEnvironmentSilentError());
  if (error.Error === "BootStateNotRestoredError") {
    return failureOf(new BootStateNotRestoredError(Names.parse(parsed(error.Cause))));
  }
  if (error.Error === "OriginalSystemSilentError") return originalSilent(error.Cause);
  return failureOf(new Error(`${error.Error}: ${error.Cause}`));
}

/** The workflow raises this error itself, with the result of the boot check as the cause. */
function notBooted(cause: string): Failure {
  const found = BootCheck.safeParse(parsed(cause));
  if (!found.success) return reported(cause) ?? failureOf(new BootCheckFailedError(cause));
  const { reason, ...details } = found.data;
  return { ...failureOf(new BootCheckFailedError(`the clone did not boot: ${reason}`)), details };
}

/** The cause is an earlier error, if there was one. */
function originalSilent(cause: string): Failure {
  const before = WorkflowError.safeParse(parsed(cause));
  const failure = failureOf(new OriginalSystemSilentError());
  if (!before.success) return failure;
  const { name, message } = workflowFailure(before.data);
  return { ...failure, message: `${failure.message}, after ${name}: ${message}` };
}

/**
 * An agent's failure is the cause itself. A function's failure is the message in the cause, because Lambda
 * keeps only the message of an error.
 */
function reported(cause: string): Failure | undefined {
  const value = parsed(cause);
  const direct = FailureSchema.safeParse(value);
  if (direct.success) return direct.data;
  const lambda = LambdaCause.safeParse(value);
  const inner = lambda.success ? FailureSchema.safeParse(parsed(lambda.data.errorMessage)) : undefined;
  return inner?.success ? inner.data : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // A cause need not be JSON; the caller then shows it as it is.
  }
}
