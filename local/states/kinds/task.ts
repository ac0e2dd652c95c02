import { MAX_SECONDS, type TaskState } from "../definition.ts";
import { checkSize, type Failure } from "../failure.ts";
import { fail, guarded, stateOf, succeed } from "../flow.ts";
import type { Cursor, TaskCursor, TaskProgress } from "../frames.ts";
import { type TaskTarget, taskTarget } from "../task-target.ts";
import type { Transition } from "../transition.ts";
import * as events from "./task-events.ts";
import { evaluateWork } from "./task-work.ts";
import { evaluateWhole } from "./values.ts";

/** The answer to a call: a function's payload or a service's response. */
export type Returned = { payload: unknown } | { failure: Failure };

/** Creates the task. Its call is made after the transition has been committed. */
export async function runTask(t: Transition, cursor: Cursor, state: TaskState): Promise<void> {
  const { activity } = cursor.branch;
  const target = taskTarget(state.Resource);
  const token = target.kind === "invoke" && target.waitForToken ? t.tools.randomness.secret() : undefined;
  const work = await evaluateWork(t, cursor, state, target, token);
  const seconds = async (value: unknown, location: string) =>
    value === undefined ? undefined : evaluateWhole(t, cursor, value, location, 1, MAX_SECONDS);
  const timeoutSeconds = await seconds(state.TimeoutSeconds, "TimeoutSeconds");
  const heartbeatSeconds = await seconds(state.HeartbeatSeconds, "HeartbeatSeconds");
  checkSize(
    work.kind === "function" ? work.payload : work.input,
    `the arguments of the state ${activity.state}`,
  );
  const task: TaskProgress = { kind: "task", id: t.newId(), work, returned: false };
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
  events.recordScheduled(t, cursor, target, work, { timeoutSeconds, heartbeatSeconds });
}

/**
 * Handles the answer to the task's call. It ends the task, or starts its wait for a callback with its token
 * or for the end of the execution that it started.
 */
export async function taskReturned(
  t: Transition,
  { cursor, task }: TaskCursor,
  returned: Returned,
): Promise<void> {
  if ("failure" in returned) return taskFailed(t, { cursor, task }, returned.failure);
  const target = targetOf(t, cursor);
  const { payload } = returned;
  if (task.work.kind === "execution") {
    if (task.returned) return taskSucceeded(t, { cursor, task }, payload);
    task.returned = true;
    task.work.executionArn = (payload as StartedExecution).ExecutionArn;
    return events.recordSubmitted(t, cursor, target, payload);
  }
  const response = { ExecutedVersion: "$LATEST", Payload: payload, StatusCode: 200 };
  task.returned = true;
  if (task.token !== undefined) return events.recordSubmitted(t, cursor, target, response);
  await taskSucceeded(t, { cursor, task }, target.kind === "invoke" ? response : payload);
}

/** As `StartExecution` answers a task. */
export interface StartedExecution {
  ExecutionArn: string;
  /** Milliseconds since 1970. */
  StartDate: number;
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

/** Handles a passed timeout or heartbeat deadline of the task. */
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
