/** Wait, and the states that end in the transition that enters them. */
import type { ChoiceState, FailState, WaitState } from "../definition.ts";
import { MAX_SECONDS } from "../definition.ts";
import { QueryEvaluationFailure, StateFailure } from "../failure.ts";
import { leave, succeed } from "../flow.ts";
import type { Cursor } from "../frames.ts";
import type { Transition } from "../transition.ts";
import { evaluateWhole } from "./values.ts";

/** Pass and Succeed. */
export async function runPass(t: Transition, cursor: Cursor): Promise<void> {
  await succeed(t, cursor, cursor.branch.activity.input);
}

export async function runFail(t: Transition, cursor: Cursor, state: FailState): Promise<void> {
  const error = await evaluateText(t, cursor, state.Error, "Error");
  const cause = await evaluateText(t, cursor, state.Cause, "Cause");
  throw new StateFailure(error, cause);
}

export async function runChoice(t: Transition, cursor: Cursor, state: ChoiceState): Promise<void> {
  const { input } = cursor.branch.activity;
  for (const [index, rule] of state.Choices.entries()) {
    const location = `Choices[${index}]/Condition`;
    const met = await t.evaluate(cursor, rule.Condition, location);
    if (typeof met !== "boolean")
      throw new QueryEvaluationFailure(location, `${location} must give a boolean`);
    if (met) return leave(t, cursor, rule, input, rule.Next, {});
  }
  if (state.Default === undefined) {
    throw new StateFailure(
      "States.NoChoiceMatched",
      "No rule of the Choice state matched, and it has no Default",
    );
  }
  await leave(t, cursor, state, input, state.Default, {});
}

export async function runWait(t: Transition, cursor: Cursor, state: WaitState): Promise<void> {
  const { activity } = cursor.branch;
  const until =
    state.Seconds === undefined
      ? await evaluateTimestamp(t, cursor, state.Timestamp)
      : t.now + 1000 * (await evaluateWhole(t, cursor, state.Seconds, "Seconds", 0, MAX_SECONDS));
  activity.progress = { kind: "waiting", until };
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

async function evaluateTimestamp(t: Transition, cursor: Cursor, template: unknown): Promise<number> {
  const text = await t.evaluate(cursor, template, "Timestamp");
  const at = typeof text === "string" && RFC_3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) {
    throw new QueryEvaluationFailure(
      "Timestamp",
      `Timestamp must be an RFC 3339 time, not ${JSON.stringify(text)}`,
    );
  }
  return at;
}

async function evaluateText(t: Transition, cursor: Cursor, template: unknown, location: string) {
  const text = await t.evaluate(cursor, template, location);
  if (typeof text !== "string") throw new QueryEvaluationFailure(location, `${location} must be a string`);
  return text;
}
