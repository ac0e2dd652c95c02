/** How branches move: into a state, out of it, to their end, and what a failure does to them. */
import type { Results, State } from "./definition.ts";
import { checkSize, type Failure, matchesError, StateFailure } from "./failure.ts";
import { type Activity, type Branch, type Cursor, type GroupProgress, innerCursors } from "./frames.ts";
import { stateNamed } from "./machine.ts";
import { decideRetry } from "./retry.ts";
import { type Bindings, type Transition, WHOLE } from "./transition.ts";

export function newActivity(state: string, input: unknown, now: number): Activity {
  return { state, input, enteredAt: now, retryCount: 0, attempts: [], progress: { kind: "entering" } };
}

export function newBranch(t: Transition, startAt: string, input: unknown, parent: Branch): Branch {
  return {
    id: t.newId(),
    variables: {},
    lastEventId: parent.lastEventId,
    activity: newActivity(startAt, input, t.now),
  };
}

/** Runs `work` for a branch's state. A failure in it goes to that state's Retry and Catch. */
export async function guarded(t: Transition, cursor: Cursor, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StateFailure)) throw error;
    await fail(t, cursor, error.failure);
  }
}

/** Leaves a state that has done its work. Its result is `output` unless the definition has its own Output. */
export async function succeed(
  t: Transition,
  cursor: Cursor,
  output: unknown,
  bindings: Bindings = {},
): Promise<void> {
  const state = stateOf(t, cursor);
  const results: Results = state.Type === "Fail" ? {} : state;
  await leave(t, cursor, results, output, "Next" in state ? state.Next : undefined, bindings);
}

/** Evaluates Output and Assign, leaves the state and enters `next`, or ends the branch if there is none. */
export async function leave(
  t: Transition,
  cursor: Cursor,
  results: Results,
  defaultOutput: unknown,
  next: string | undefined,
  bindings: Bindings,
): Promise<void> {
  const { branch } = cursor;
  const state = stateOf(t, cursor);
  const output =
    results.Output === undefined
      ? defaultOutput
      : await t.evaluate(cursor, results.Output, "Output", bindings);
  const assigned = (await t.evaluate(cursor, results.Assign ?? {}, "Assign", bindings)) as Record<
    string,
    unknown
  >;
  checkSize(output, `the output of the state ${branch.activity.state}`);
  checkSize(assigned, `what the state ${branch.activity.state} assigns`);
  Object.assign(branch.variables, assigned);
  if (state.Type !== "Fail") recordExit(t, cursor, state.Type, output, assigned);
  if (next !== undefined) branch.activity = newActivity(next, output, t.now);
  else await endBranch(t, cursor, output);
}

function recordExit(
  t: Transition,
  cursor: Cursor,
  type: Exclude<State["Type"], "Fail">,
  output: unknown,
  assigned: Record<string, unknown>,
): void {
  const variables = Object.entries(assigned).map(([name, value]) => [name, JSON.stringify(value)]);
  t.record(cursor.branch, {
    type: `${type}StateExited`,
    stateExitedEventDetails: {
      name: cursor.branch.activity.state,
      output: JSON.stringify(output),
      outputDetails: WHOLE,
      ...(variables.length > 0 && {
        assignedVariables: Object.fromEntries(variables),
        assignedVariablesDetails: WHOLE,
      }),
    },
  });
}

async function endBranch(t: Transition, cursor: Cursor, output: unknown): Promise<void> {
  const { parent, branch, slot } = cursor;
  if (!parent) return t.end({ status: "SUCCEEDED", output });
  const group = groupOf(parent);
  if (branch.item) {
    t.record(branch, {
      type: "MapIterationSucceeded",
      mapIterationSucceededEventDetails: iteration(parent, slot),
    });
  }
  group.slots[slot] = { status: "succeeded", output };
  parent.branch.lastEventId = branch.lastEventId;
  await guarded(t, parent, () => finishGroupIfDone(t, parent));
}

/** Leaves a Map or Parallel state once everything inside it has succeeded. */
export async function finishGroupIfDone(t: Transition, cursor: Cursor): Promise<void> {
  const group = groupOf(cursor);
  const outputs: unknown[] = [];
  for (const slot of group.slots) {
    if (slot.status !== "succeeded") return;
    outputs.push(slot.output);
  }
  checkSize(outputs, `the result of the state ${cursor.branch.activity.state}`);
  t.record(cursor.branch, { type: group.items ? "MapStateSucceeded" : "ParallelStateSucceeded" });
  cursor.branch.activity.progress = { kind: "ready" };
  await succeed(t, cursor, outputs, { result: outputs });
}

/**
 * Passes a failure to the state's Retry and Catch. If neither handles it, passes it to the enclosing state
 * and finally to the execution.
 */
export async function fail(t: Transition, cursor: Cursor, failure: Failure): Promise<void> {
  const { activity } = cursor.branch;
  const { progress } = activity;
  if (progress.kind === "group") {
    abandonInner(t, cursor);
    t.record(cursor.branch, { type: progress.items ? "MapStateFailed" : "ParallelStateFailed" });
    activity.progress = { kind: "ready" };
  }
  const state = stateOf(t, cursor);
  if (state.Type === "Task" || state.Type === "Map" || state.Type === "Parallel") {
    const retry = decideRetry(state.Retry, activity.attempts, failure, () => t.tools.randomness.number());
    if (retry) {
      activity.attempts[retry.retrier] = (activity.attempts[retry.retrier] ?? 0) + 1;
      activity.retryCount++;
      activity.progress = { kind: "backing-off", until: t.now + retry.delayMs };
      return;
    }
    const catcher = state.Catch?.find((rule) => matchesError(rule.ErrorEquals, failure));
    if (catcher) {
      const errorOutput = outputOf(failure);
      try {
        await leave(t, cursor, catcher, errorOutput, catcher.Next, { errorOutput });
        return;
      } catch (error) {
        // A catcher that fails to evaluate must not catch its own failure.
        if (!(error instanceof StateFailure)) throw error;
        return propagate(t, cursor, error.failure);
      }
    }
  }
  await propagate(t, cursor, failure);
}

async function propagate(t: Transition, cursor: Cursor, failure: Failure): Promise<void> {
  const { parent, branch, slot } = cursor;
  if (!parent) return t.end({ status: "FAILED", ...failure });
  const group = groupOf(parent);
  if (branch.item) {
    t.record(branch, { type: "MapIterationFailed", mapIterationFailedEventDetails: iteration(parent, slot) });
  }
  group.slots[slot] = { status: "pending" };
  parent.branch.lastEventId = branch.lastEventId;
  await fail(t, parent, failure);
}

/** Cancels a group's running work. A late answer then finds no task. */
function abandonInner(t: Transition, cursor: Cursor): void {
  for (const inner of innerCursors(cursor)) {
    abandonInner(t, inner);
    recordAbort(t, inner);
    if (inner.branch.item) {
      const details = iteration(cursor, inner.slot);
      t.record(inner.branch, { type: "MapIterationAborted", mapIterationAbortedEventDetails: details });
    }
    cursor.branch.lastEventId = inner.branch.lastEventId;
  }
}

function recordAbort(t: Transition, cursor: Cursor): void {
  // A state that has not started has no entry in the history.
  if (cursor.branch.activity.progress.kind === "entering") return;
  const { Type } = stateOf(t, cursor);
  // Only these outlast the transition that enters them.
  if (Type === "Task" || Type === "Wait" || Type === "Map" || Type === "Parallel") {
    t.record(cursor.branch, { type: `${Type}StateAborted` });
  }
}

export function stateOf(t: Transition, cursor: Cursor): State {
  return stateNamed(t.machine, cursor.branch.activity.state);
}

export function groupOf(cursor: Cursor): GroupProgress {
  const { progress } = cursor.branch.activity;
  if (progress.kind !== "group") throw new Error(`the state ${cursor.branch.activity.state} has no branches`);
  return progress;
}

/** The details of a Map iteration's events. */
export function iteration(map: Cursor, index: number): { name: string; index: number } {
  return { name: map.branch.activity.state, index };
}

/** `$states.errorOutput`. */
function outputOf({ error, cause }: Failure): Record<string, string> {
  return { ...(error !== undefined && { Error: error }), ...(cause !== undefined && { Cause: cause }) };
}
