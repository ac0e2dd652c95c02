/** What to tell of a workflow that failed: from Step Functions' error and cause to a failure with a hint. */
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

/** As Step Functions gives it to a Catch. */
export const WorkflowError = z.object({
  Error: z.string().default("States.TaskFailed"),
  Cause: z.string().default(""),
});
export type WorkflowError = z.infer<typeof WorkflowError>;

const Names = z.array(z.string()).catch([]);
const LambdaCause = z.object({ errorMessage: z.string() });

/** The failure as it was reported by an agent or a function; one of Step Functions' own in our words. */
export function workflowFailure(error: WorkflowError): Failure {
  if (error.Error === "States.HeartbeatTimeout")
    return failureOf(new AgentSilentError("the agent has gone silent"));
  if (error.Error === "States.Timeout") return failureOf(new StepTimedOutError());
  if (error.Error === "BootCheckFailedError") return notBooted(error.Cause);
  const report = reported(error.Cause);
  if (report) return report;
  // The workflow's own names for a wait that ran out.
  if (error.Error === "BootEnvironmentSilentError") return failureOf(new BootEnvironmentSilentError());
  if (error.Error === "BootStateNotRestoredError") {
    return failureOf(new BootStateNotRestoredError(Names.parse(parsed(error.Cause))));
  }
  if (error.Error === "OriginalSystemSilentError") return originalSilent(error.Cause);
  return failureOf(new Error(`${error.Error}: ${error.Cause}`));
}

/** The workflow itself says so, with what the boot check found as the cause. */
function notBooted(cause: string): Failure {
  const found = BootCheck.safeParse(parsed(cause));
  if (!found.success) return reported(cause) ?? failureOf(new BootCheckFailedError(cause));
  const { reason, ...details } = found.data;
  return { ...failureOf(new BootCheckFailedError(`the clone did not boot: ${reason}`)), details };
}

/** What had gone wrong before, if anything had, is the cause. */
function originalSilent(cause: string): Failure {
  const before = WorkflowError.safeParse(parsed(cause));
  const failure = failureOf(new OriginalSystemSilentError());
  if (!before.success) return failure;
  const { name, message } = workflowFailure(before.data);
  return { ...failure, message: `${failure.message}, after ${name}: ${message}` };
}

/**
 * A failure is the cause itself (an agent's) or the message in it (a function's: Lambda keeps nothing else of
 * an error).
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
    return undefined; // Not everybody's cause is JSON; the caller then shows it as it is.
  }
}
