/** What to tell of a workflow that failed: from Step Functions' error and cause to a failure with a hint. */
import { z } from "zod";
import { AgentSilentError, type Failure, failureOf, StepTimedOutError } from "../errors.ts";
import { Failure as FailureSchema } from "../protocol/common.ts";

/** As Step Functions gives it to a Catch. */
export const WorkflowError = z.object({
  Error: z.string().default("States.TaskFailed"),
  Cause: z.string().default(""),
});
export type WorkflowError = z.infer<typeof WorkflowError>;

const LambdaCause = z.object({ errorMessage: z.string() });

/** The failure as it was reported by an agent or a function; one of Step Functions' own in our words. */
export function workflowFailure(error: WorkflowError): Failure {
  if (error.Error === "States.HeartbeatTimeout")
    return failureOf(new AgentSilentError("the agent has gone silent"));
  if (error.Error === "States.Timeout") return failureOf(new StepTimedOutError());
  return reported(error.Cause) ?? failureOf(new Error(`${error.Error}: ${error.Cause}`));
}

/** A failure is the cause itself (an agent's) or the message in it (a function's: Lambda keeps nothing else of an error). */
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
