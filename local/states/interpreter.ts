/**
 * Advances an execution by one transition at a time. Pure except for expressions: effects follow from the
 * frames.
 */

import type { Execution } from "./execution.ts";
import { guarded, newActivity, stateOf, succeed } from "./flow.ts";
import { type Cursor, earliestDeadline, type Frames, runnable } from "./frames.ts";
import { runMap, runParallel, startIteration } from "./kinds/group.ts";
import { runChoice, runFail, runPass, runWait } from "./kinds/simple.ts";
import { runTask, taskExpired } from "./kinds/task.ts";
import type { Machine } from "./machine.ts";
import { type Transition, WHOLE } from "./transition.ts";

/** An execution's position before its first transition. */
export function initialFrames(machine: Machine, input: unknown, now: number): Frames {
  const activity = newActivity(machine.definition.StartAt, input, now);
  return { root: { id: 1, variables: {}, lastEventId: 0, activity }, nextId: 2 };
}

export function recordStart(t: Transition): void {
  const { input, roleArn } = t.execution;
  t.record(t.root, {
    type: "ExecutionStarted",
    executionStartedEventDetails: { input: JSON.stringify(input), inputDetails: WHOLE, roleArn },
  });
}

/** When the whole execution times out, in milliseconds since 1970. */
function executionDeadline(machine: Machine, execution: Execution): number {
  const { TimeoutSeconds } = machine.definition;
  return TimeoutSeconds === undefined
    ? Number.POSITIVE_INFINITY
    : execution.startedAt + TimeoutSeconds * 1000;
}

/** When the execution must advance even without a call, in milliseconds since 1970. Infinity if never. */
export function nextDeadline(machine: Machine, execution: Execution): number {
  const inner = earliestDeadline(execution.frames.root)?.at ?? Number.POSITIVE_INFINITY;
  return Math.min(inner, executionDeadline(machine, execution));
}

/** Whether something could be done now. */
export function canAdvance(machine: Machine, execution: Execution, now: number): boolean {
  return nextDeadline(machine, execution) <= now || runnable(execution.frames.root) !== undefined;
}

/** Does at most one step of work: what is due comes before what can run. */
export async function advance(t: Transition): Promise<void> {
  if (executionDeadline(t.machine, t.execution) <= t.now) {
    const cause = "The execution did not end within the state machine's TimeoutSeconds";
    return t.end({ status: "TIMED_OUT", error: "States.Timeout", cause });
  }
  const due = earliestDeadline(t.root);
  if (due && due.at <= t.now) return fallDue(t, due.cursor);
  const cursor = runnable(t.root);
  if (cursor) await guarded(t, cursor, () => attempt(t, cursor));
}

async function fallDue(t: Transition, cursor: Cursor): Promise<void> {
  const { activity } = cursor.branch;
  const { progress } = activity;
  if (progress.kind === "task") return taskExpired(t, { cursor, task: progress });
  if (progress.kind === "backing-off") activity.progress = { kind: "ready" };
  else await guarded(t, cursor, () => succeed(t, cursor, activity.input));
}

async function attempt(t: Transition, cursor: Cursor): Promise<void> {
  const state = stateOf(t, cursor);
  const { activity } = cursor.branch;
  if (activity.progress.kind === "group" && state.Type === "Map") return startIteration(t, cursor, state);
  if (activity.progress.kind === "entering") recordEntry(t, cursor);
  activity.progress = { kind: "ready" };
  switch (state.Type) {
    case "Pass":
    case "Succeed":
      return runPass(t, cursor);
    case "Fail":
      return runFail(t, cursor, state);
    case "Choice":
      return runChoice(t, cursor, state);
    case "Wait":
      return runWait(t, cursor, state);
    case "Task":
      return runTask(t, cursor, state);
    case "Map":
      return runMap(t, cursor, state);
    case "Parallel":
      return runParallel(t, cursor, state);
  }
}

function recordEntry(t: Transition, cursor: Cursor): void {
  const { activity } = cursor.branch;
  activity.enteredAt = t.now;
  t.record(cursor.branch, {
    type: `${stateOf(t, cursor).Type}StateEntered`,
    stateEnteredEventDetails: {
      name: activity.state,
      input: JSON.stringify(activity.input),
      inputDetails: WHOLE,
    },
  });
}
