/** The history events of tasks, which differ between integrations and a function's own ARN. */
import { REGION } from "#local/core/service.ts";
import type { Failure } from "../failure.ts";
import type { Cursor, TaskWork } from "../frames.ts";
import type { TaskTarget } from "../task-target.ts";
import { type Transition, WHOLE } from "../transition.ts";

interface Limits {
  timeoutSeconds: number | undefined;
  heartbeatSeconds: number | undefined;
}

export function recordScheduled(
  t: Transition,
  { branch }: Cursor,
  target: TaskTarget,
  work: TaskWork,
  limits: Limits,
): void {
  const timeout = limits.timeoutSeconds === undefined ? {} : { timeoutInSeconds: limits.timeoutSeconds };
  if (target.kind === "function" && work.kind === "function") {
    const input = JSON.stringify(work.payload);
    t.record(branch, {
      type: "LambdaFunctionScheduled",
      lambdaFunctionScheduledEventDetails: {
        resource: work.functionArn,
        input,
        inputDetails: WHOLE,
        ...timeout,
      },
    });
    t.record(branch, { type: "LambdaFunctionStarted" });
    return;
  }
  const { heartbeatSeconds } = limits;
  t.record(branch, {
    type: "TaskScheduled",
    taskScheduledEventDetails: {
      ...nameOf(target),
      region: REGION,
      parameters: JSON.stringify(parametersOf(work)),
      ...timeout,
      ...(heartbeatSeconds !== undefined && { heartbeatInSeconds: heartbeatSeconds }),
    },
  });
  t.record(branch, { type: "TaskStarted", taskStartedEventDetails: nameOf(target) });
}

function parametersOf(work: TaskWork): object {
  if (work.kind === "function") return { FunctionName: work.functionArn, Payload: work.payload };
  return { StateMachineArn: work.machineArn, Input: work.input, Name: work.name };
}

/** Records that the work that the task waits for has started. The starting call returned `response`. */
export function recordSubmitted(
  t: Transition,
  { branch }: Cursor,
  target: TaskTarget,
  response: unknown,
): void {
  t.record(branch, {
    type: "TaskSubmitted",
    taskSubmittedEventDetails: {
      ...nameOf(target),
      output: JSON.stringify(response),
      outputDetails: WHOLE,
    },
  });
}

export function recordSucceeded(
  t: Transition,
  { branch }: Cursor,
  target: TaskTarget,
  result: unknown,
): void {
  const data = { output: JSON.stringify(result), outputDetails: WHOLE };
  if (target.kind === "function") {
    t.record(branch, { type: "LambdaFunctionSucceeded", lambdaFunctionSucceededEventDetails: data });
  } else {
    t.record(branch, { type: "TaskSucceeded", taskSucceededEventDetails: { ...nameOf(target), ...data } });
  }
}

export function recordFailed(t: Transition, { branch }: Cursor, target: TaskTarget, failure: Failure): void {
  if (target.kind === "function") {
    t.record(branch, { type: "LambdaFunctionFailed", lambdaFunctionFailedEventDetails: failure });
  } else {
    t.record(branch, { type: "TaskFailed", taskFailedEventDetails: { ...nameOf(target), ...failure } });
  }
}

export function recordTimedOut(
  t: Transition,
  { branch }: Cursor,
  target: TaskTarget,
  failure: Failure,
): void {
  if (target.kind === "function") {
    t.record(branch, { type: "LambdaFunctionTimedOut", lambdaFunctionTimedOutEventDetails: failure });
  } else {
    t.record(branch, { type: "TaskTimedOut", taskTimedOutEventDetails: { ...nameOf(target), ...failure } });
  }
}

function nameOf(target: TaskTarget): { resourceType: string; resource: string } {
  if (target.kind === "execution") return { resourceType: "states", resource: "startExecution.sync:2" };
  const waits = target.kind === "invoke" && target.waitForToken;
  return { resourceType: "lambda", resource: waits ? "invoke.waitForTaskToken" : "invoke" };
}
