/** The history events of tasks, which differ between `lambda:invoke` and a function's own ARN. */
import { REGION } from "#local/core/service.ts";
import type { Failure } from "../failure.ts";
import type { Cursor, TaskProgress } from "../frames.ts";
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
  task: TaskProgress,
  limits: Limits,
): void {
  const timeout = limits.timeoutSeconds === undefined ? {} : { timeoutInSeconds: limits.timeoutSeconds };
  if (target.kind === "function") {
    const input = JSON.stringify(task.payload);
    t.record(branch, {
      type: "LambdaFunctionScheduled",
      lambdaFunctionScheduledEventDetails: {
        resource: task.functionArn,
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
      parameters: JSON.stringify({ FunctionName: task.functionArn, Payload: task.payload }),
      ...timeout,
      ...(heartbeatSeconds !== undefined && { heartbeatInSeconds: heartbeatSeconds }),
    },
  });
  t.record(branch, { type: "TaskStarted", taskStartedEventDetails: nameOf(target) });
}

/** The function that got a token has returned `response`. */
export function recordSubmitted(t: Transition, { branch }: Cursor, response: unknown): void {
  t.record(branch, {
    type: "TaskSubmitted",
    taskSubmittedEventDetails: { ...CALLBACK, output: JSON.stringify(response), outputDetails: WHOLE },
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

const CALLBACK = { resourceType: "lambda", resource: "invoke.waitForTaskToken" };

function nameOf(target: TaskTarget): { resourceType: string; resource: string } {
  return target.kind === "invoke" && target.waitForToken
    ? CALLBACK
    : { resourceType: "lambda", resource: "invoke" };
}
