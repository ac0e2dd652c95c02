import { ACCOUNT_ID, REGION } from "#local/core/service.ts";
import { MAX_SECONDS, type TaskState } from "../definition.ts";
import { checkSize, type Failure, StateFailure } from "../failure.ts";
import { fail, guarded, stateOf, succeed } from "../flow.ts";
import type { Cursor, TaskCursor, TaskProgress } from "../frames.ts";
import { type TaskTarget, taskTarget } from "../task-target.ts";
import type { Transition } from "../transition.ts";
import * as events from "./task-events.ts";
import { evaluateWhole } from "./values.ts";

/** How an invocation ended. */
export type Returned = { payload: unknown } | { failure: Failure };

/** Makes the task. Its function is invoked after the transition has been committed. */
export async function runTask(t: Transition, cursor: Cursor, state: TaskState): Promise<void> {
  const { activity } = cursor.branch;
  const target = taskTarget(state.Resource);
  const token = target.kind === "invoke" && target.waitForToken ? t.tools.randomness.secret() : undefined;
  const call = await evaluateCall(t, cursor, state, target, token);
  const seconds = async (value: unknown, location: string) =>
    value === undefined ? undefined : evaluateWhole(t, cursor, value, location, 1, MAX_SECONDS);
  const timeoutSeconds = await seconds(state.TimeoutSeconds, "TimeoutSeconds");
  const heartbeatSeconds = await seconds(state.HeartbeatSeconds, "HeartbeatSeconds");
  checkSize(call.payload, `the arguments of the state ${activity.state}`);
  const task: TaskProgress = { kind: "task", id: t.newId(), ...call, returned: false };
  if (token !== undefined) {
    task.token = token;
    t.newTokens.push(token);
  }
  if (timeoutSeconds !== undefined) task.timeoutAt = t.now + timeoutSeconds * 1000;
  if (heartbeatSeconds !== undefined) {
    task.heartbeatSeconds = heartbeatSeconds;
    task.heartbeatAt = t.now + heartbeatSeconds * 1000;
  }
  activity.progress = task;
  events.recordScheduled(t, cursor, target, task, { timeoutSeconds, heartbeatSeconds });
}

async function evaluateCall(
  t: Transition,
  cursor: Cursor,
  state: TaskState,
  target: TaskTarget,
  token: string | undefined,
): Promise<{ functionArn: string; payload: unknown }> {
  const given =
    state.Arguments === undefined
      ? cursor.branch.activity.input
      : await t.evaluate(cursor, state.Arguments, "Arguments", token === undefined ? {} : { token });
  if (target.kind === "function") return { functionArn: target.functionArn, payload: given };
  const { FunctionName, Payload, ...rest } = (given ?? {}) as { FunctionName?: unknown; Payload?: unknown };
  if (typeof FunctionName !== "string") {
    throw new StateFailure("States.Runtime", "The argument FunctionName of lambda:invoke must be a string");
  }
  const other = Object.keys(rest)[0];
  if (other)
    throw new StateFailure("States.Runtime", `The embedded cloud has no argument ${other} of lambda:invoke`);
  const functionArn = FunctionName.startsWith("arn:")
    ? FunctionName
    : `arn:aws:lambda:${REGION}:${ACCOUNT_ID}:function:${FunctionName}`;
  return { functionArn, payload: Payload === undefined ? {} : Payload };
}

/** The function has returned: the task's end, or with a token the beginning of the wait for it. */
export async function taskReturned(
  t: Transition,
  { cursor, task }: TaskCursor,
  returned: Returned,
): Promise<void> {
  if ("failure" in returned) return taskFailed(t, { cursor, task }, returned.failure);
  const target = targetOf(t, cursor);
  const response = { ExecutedVersion: "$LATEST", Payload: returned.payload, StatusCode: 200 };
  task.returned = true;
  if (task.token !== undefined) return events.recordSubmitted(t, cursor, response);
  await taskSucceeded(t, { cursor, task }, target.kind === "invoke" ? response : returned.payload);
}

export async function taskSucceeded(t: Transition, { cursor }: TaskCursor, result: unknown): Promise<void> {
  await guarded(t, cursor, async () => {
    checkSize(result, `the result of the state ${cursor.branch.activity.state}`);
    events.recordSucceeded(t, cursor, targetOf(t, cursor), result);
    await succeed(t, cursor, result, { result });
  });
}

export async function taskFailed(t: Transition, { cursor }: TaskCursor, failure: Failure): Promise<void> {
  events.recordFailed(t, cursor, targetOf(t, cursor), failure);
  await fail(t, cursor, failure);
}

/** A timeout or a heartbeat of the task has passed. */
export async function taskExpired(t: Transition, { cursor, task }: TaskCursor): Promise<void> {
  const timedOut = task.timeoutAt !== undefined && task.timeoutAt <= t.now;
  const failure: Failure = timedOut
    ? { error: "States.Timeout", cause: "The task did not end within TimeoutSeconds" }
    : { error: "States.HeartbeatTimeout", cause: "The task sent no heartbeat within HeartbeatSeconds" };
  events.recordTimedOut(t, cursor, targetOf(t, cursor), failure);
  await fail(t, cursor, failure);
}

function targetOf(t: Transition, cursor: Cursor): TaskTarget {
  const state = stateOf(t, cursor);
  if (state.Type !== "Task") throw new Error(`${cursor.branch.activity.state} is no Task state`);
  return taskTarget(state.Resource);
}
