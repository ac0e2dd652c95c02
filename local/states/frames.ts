/**
 * The position of an execution as plain JSON: a tree of branches, each in one state. Every transition writes
 * the whole tree, so it contains everything needed to continue after a crash.
 */

export interface Frames {
  root: Branch;
  /** The next id for a branch or a task. */
  nextId: number;
}

/** One line of states: the machine itself, a branch of a Parallel state, or an iteration of a Map state. */
export interface Branch {
  id: number;
  /** Variables assigned in this scope. */
  variables: Record<string, unknown>;
  /** The item, in an iteration of a Map state. */
  item?: MapItem;
  /** The history event that the next one of this branch follows. */
  lastEventId: number;
  activity: Activity;
}
export interface MapItem {
  index: number;
  value: unknown;
}

/** A branch's stay in one state. */
export interface Activity {
  state: string;
  input: unknown;
  /** Milliseconds since 1970. */
  enteredAt: number;
  /** The number of retries of the state, by any retrier. */
  retryCount: number;
  /** The same per retrier, by its index. */
  attempts: number[];
  progress: Progress;
}

export type Progress =
  | { kind: "entering" }
  /** Entered, and about to be tried or retried. */
  | { kind: "ready" }
  | { kind: "waiting"; until: number }
  | { kind: "backing-off"; until: number }
  | TaskProgress
  | GroupProgress;

export interface TaskProgress {
  kind: "task";
  id: number;
  work: TaskWork;
  /** Set while the task waits for a callback. */
  token?: string;
  /**
   * Whether the function has returned or the execution has started. Until then, a restart repeats the call.
   */
  returned: boolean;
  timeoutAt?: number;
  heartbeatSeconds?: number;
  heartbeatAt?: number;
}

/** What a task calls. */
export type TaskWork = FunctionWork | ExecutionWork;
export interface FunctionWork {
  kind: "function";
  functionArn: string;
  payload: unknown;
}
/** Starts an execution and waits for its end. */
export interface ExecutionWork {
  kind: "execution";
  machineArn: string;
  name: string;
  input: unknown;
  /** Known once it has been started. */
  executionArn?: string;
}

/** A running Map or Parallel state. */
export interface GroupProgress {
  kind: "group";
  slots: Slot[];
  /** How many slots may run at once. */
  concurrency: number;
  /** The items, for a Map state. */
  items?: unknown[];
}
export type Slot =
  | { status: "pending" }
  | { status: "running"; branch: Branch }
  | { status: "succeeded"; output: unknown };

/** A branch and the way to it. */
export interface Cursor {
  branch: Branch;
  parent?: Cursor;
  /** The branch's slot in the parent's group. */
  slot: number;
}

/** Every live branch, outer ones first. */
export function* cursors(root: Branch): Generator<Cursor> {
  yield* cursorsFrom({ branch: root, slot: 0 });
}

function* cursorsFrom(cursor: Cursor): Generator<Cursor> {
  yield cursor;
  for (const inner of innerCursors(cursor)) yield* cursorsFrom(inner);
}

/** The branches that run directly inside this one. */
export function innerCursors(cursor: Cursor): Cursor[] {
  const { progress } = cursor.branch.activity;
  if (progress.kind !== "group") return [];
  return progress.slots.flatMap((slot, index) =>
    slot.status === "running" ? [{ branch: slot.branch, parent: cursor, slot: index }] : [],
  );
}

/** The slot of a group that may start now. */
export function startableSlot(group: GroupProgress): number | undefined {
  const running = group.slots.filter((slot) => slot.status === "running").length;
  if (running >= group.concurrency) return undefined;
  const next = group.slots.findIndex((slot) => slot.status === "pending");
  return next < 0 ? undefined : next;
}

/** The first branch that can continue without waiting. */
export function runnable(root: Branch): Cursor | undefined {
  for (const cursor of cursors(root)) {
    const { progress } = cursor.branch.activity;
    if (progress.kind === "entering" || progress.kind === "ready") return cursor;
    if (progress.kind === "group" && startableSlot(progress) !== undefined) return cursor;
  }
  return undefined;
}

export interface Deadline {
  at: number;
  cursor: Cursor;
}

/** The next deadline, in milliseconds since 1970. */
export function earliestDeadline(root: Branch): Deadline | undefined {
  let earliest: Deadline | undefined;
  for (const cursor of cursors(root)) {
    const at = deadlineOf(cursor.branch.activity.progress);
    if (at !== undefined && (!earliest || at < earliest.at)) earliest = { at, cursor };
  }
  return earliest;
}

function deadlineOf(progress: Progress): number | undefined {
  if (progress.kind === "waiting" || progress.kind === "backing-off") return progress.until;
  if (progress.kind !== "task") return undefined;
  const at = Math.min(progress.timeoutAt ?? Infinity, progress.heartbeatAt ?? Infinity);
  return at === Infinity ? undefined : at;
}

export interface TaskCursor {
  cursor: Cursor;
  task: TaskProgress;
}

/** Whether the task still waits for an answer: a function's result or the end of an execution. */
export function isAwaited({ returned, work }: TaskProgress): boolean {
  return !returned || work.kind === "execution";
}

/** Every open task. */
export function openTasks(root: Branch): TaskCursor[] {
  const tasks: TaskCursor[] = [];
  for (const cursor of cursors(root)) {
    const { progress } = cursor.branch.activity;
    if (progress.kind === "task") tasks.push({ cursor, task: progress });
  }
  return tasks;
}
