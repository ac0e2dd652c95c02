import type { HistoryEvent, HistoryEventType } from "@aws-sdk/client-sfn";
import { contextObject } from "./context.ts";
import type { Execution } from "./execution.ts";
import type { Expressions } from "./expressions.ts";
import { QueryEvaluationFailure } from "./failure.ts";
import type { Branch, Cursor, MapItem } from "./frames.ts";
import type { Machine } from "./machine.ts";
import type { Randomness } from "./randomness.ts";

export interface Outcome {
  status: "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED";
  output?: unknown;
  error?: string;
  cause?: string;
}

type EventBody = Omit<HistoryEvent, "id" | "previousEventId" | "timestamp" | "type"> & {
  type: HistoryEventType;
};
export type RecordedEvent = EventBody & {
  id: number;
  previousEventId: number;
  /** Milliseconds since 1970. */
  at: number;
};

/** AWS ends an execution with more events. */
export const MAX_HISTORY_EVENTS = 25_000;

/** The history has no room for anything but the end of the execution. */
export class HistoryFullError extends Error {
  override readonly name = "HistoryFullError";
  constructor() {
    super(`The execution reached the maximum number of history events (${MAX_HISTORY_EVENTS}).`);
  }
}

export interface Tools {
  expressions: Expressions;
  randomness: Randomness;
}

/**
 * One step of one execution, to be committed as a whole: changed frames, new history events, perhaps its end.
 */
export class Transition {
  readonly execution: Execution;
  readonly machine: Machine;
  readonly tools: Tools;
  /** Milliseconds since 1970; the same for everything in the transition. */
  readonly now: number;
  readonly events: RecordedEvent[] = [];
  readonly newTokens: string[] = [];
  outcome: Outcome | undefined;

  constructor(execution: Execution, machine: Machine, tools: Tools, now: number) {
    this.execution = execution;
    this.machine = machine;
    this.tools = tools;
    this.now = now;
  }

  get root(): Branch {
    return this.execution.frames.root;
  }

  newId(): number {
    return this.execution.frames.nextId++;
  }

  record(branch: Branch, body: EventBody): void {
    if (this.#nextEventId() >= MAX_HISTORY_EVENTS) throw new HistoryFullError();
    this.#append(branch, body);
  }

  /** Ends the execution and drops its running work. */
  end(outcome: Outcome): void {
    const { error, cause } = outcome;
    const reason = { ...(error !== undefined && { error }), ...(cause !== undefined && { cause }) };
    this.outcome = outcome;
    if (outcome.status === "SUCCEEDED") {
      const output = JSON.stringify(outcome.output);
      this.#append(this.root, {
        type: "ExecutionSucceeded",
        executionSucceededEventDetails: { output, outputDetails: WHOLE },
      });
    } else if (outcome.status === "FAILED") {
      this.#append(this.root, { type: "ExecutionFailed", executionFailedEventDetails: reason });
    } else if (outcome.status === "TIMED_OUT") {
      this.#append(this.root, { type: "ExecutionTimedOut", executionTimedOutEventDetails: reason });
    } else {
      this.#append(this.root, { type: "ExecutionAborted", executionAbortedEventDetails: reason });
    }
  }

  /** Returns a template's value in a branch's scope. A failed evaluation is recorded in the history. */
  async evaluate(cursor: Cursor, template: unknown, location: string, more: Bindings = {}): Promise<unknown> {
    const { token, item, ...states } = more;
    const { activity } = cursor.branch;
    const context = contextObject(this.execution, cursor, token, item);
    try {
      return await this.tools.expressions.evaluate(template, location, {
        ...variablesOf(cursor),
        states: { input: activity.input, context, ...states },
      });
    } catch (error) {
      if (error instanceof QueryEvaluationFailure) this.#recordEvaluationFailure(cursor, error);
      throw error;
    }
  }

  #recordEvaluationFailure(cursor: Cursor, { failure, location }: QueryEvaluationFailure): void {
    const { state } = cursor.branch.activity;
    this.record(cursor.branch, {
      type: "EvaluationFailed",
      evaluationFailedEventDetails: { ...failure, location, state },
    });
  }

  #append(branch: Branch, body: EventBody): void {
    const id = this.#nextEventId();
    this.events.push({ ...body, id, previousEventId: branch.lastEventId, at: this.now });
    branch.lastEventId = id;
  }

  #nextEventId(): number {
    return this.execution.eventCount + this.events.length + 1;
  }
}

/** What an expression can read besides the state's input and the variables. */
export interface Bindings {
  result?: unknown;
  errorOutput?: unknown;
  token?: string;
  item?: MapItem;
}

/** Marks a history event's data as not truncated. */
export const WHOLE = { truncated: false };

/** The variables visible in a branch, including those of outer scopes. */
function variablesOf(cursor: Cursor): Record<string, unknown> {
  return { ...(cursor.parent && variablesOf(cursor.parent)), ...cursor.branch.variables };
}
