/** Turns the error and cause of a failed workflow into a failure with a hint. */
import * as z from "zod";
import {
  AgentSilentError,
  BootCheckFailedError,
  BootEnvironmentSilentError,
  BootStateNotRestoredError,
  type Failure,
  failureOf,
  OriginalSystemSilentError,
  ServiceUnavailableError,
  StepTimedOutError,
  WorkflowInterruptedError,
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

/**
 * The failure that an agent or a function reported in any of the workflows. Errors of Step Functions itself
 * are in our words.
 */
export function workflowFailure(outermost: WorkflowError): Failure {
  const error = innermostError(outermost);
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
  if (error.Error === "WorkflowInterruptedError")
    return failureOf(new WorkflowInterruptedError(`${error.Cause} was stopped before it had ended`));
  return ofStepFunctions(error) ?? failureOf(new Error(`${error.Error}: ${error.Cause}`));
}

/** A workflow could not start another one, or could not wait for it. */
function ofStepFunctions({ Error: name, Cause: cause }: WorkflowError): Failure | undefined {
  if (!name.startsWith("StepFunctions.")) return undefined;
  return failureOf(
    name === "StepFunctions.ExecutionAlreadyExistsException"
      ? new WorkflowInterruptedError(`a part of the workflow has ended, and its outcome was lost: ${cause}`)
      : new ServiceUnavailableError(`${name}: ${cause}`),
  );
}

/**
 * The error with which the failed execution itself ended, however deep. A workflow that waits for another one
 * gets every failure as `States.TaskFailed`, with the description of that execution as the cause (measured in
 * floci-io/floci, `AslExecutorNestedSyncFailureTest`).
 */
export function innermostError(error: WorkflowError): WorkflowError {
  const execution = error.Error === "States.TaskFailed" ? executionIn(error.Cause) : undefined;
  if (!execution) return error;
  const { Status, Error: name = "States.TaskFailed", Cause = "", ExecutionArn } = execution;
  if (Status === "ABORTED") return { Error: "WorkflowInterruptedError", Cause: ExecutionArn };
  if (Status === "TIMED_OUT") return { Error: "States.Timeout", Cause };
  return innermostError({ Error: name, Cause });
}

const Execution = z.object({
  ExecutionArn: z.string(),
  Status: z.enum(["FAILED", "TIMED_OUT", "ABORTED"]),
  Error: z.string().optional(),
  Cause: z.string().optional(),
});

/**
 * The beginning of such a description. Step Functions accepts 32,768 characters of a cause; the fields are in
 * alphabetical order, so a limit cuts off the execution's input and leaves its error whole.
 */
const BEGINNING = /^\{(?:"Cause":("(?:[^"\\]|\\.)*"),)?"Error":("(?:[^"\\]|\\.)*"),"ExecutionArn":("[^"]*"),/;

function executionIn(cause: string): z.infer<typeof Execution> | undefined {
  const whole = Execution.safeParse(parsed(cause));
  if (whole.success) return whole.data;
  const [, Cause = '""', name = "", arn = ""] = BEGINNING.exec(cause) ?? [];
  const cut = { Cause: parsed(Cause), Error: parsed(name), ExecutionArn: parsed(arn), Status: "FAILED" };
  return Execution.safeParse(cut).data;
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
