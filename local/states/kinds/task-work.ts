/** What a Task state calls, from its evaluated arguments. */
import { ACCOUNT_ID, REGION } from "#local/core/service.ts";
import type { TaskState } from "../definition.ts";
import { StateFailure } from "../failure.ts";
import type { Cursor, TaskWork } from "../frames.ts";
import { ARGUMENTS } from "../machine-rules.ts";
import type { TaskTarget } from "../task-target.ts";
import type { Transition } from "../transition.ts";

/** `token` is the value of `$states.context.Task.Token` for a task that waits for a callback. */
export async function evaluateWork(
  t: Transition,
  cursor: Cursor,
  state: TaskState,
  target: TaskTarget,
  token: string | undefined,
): Promise<TaskWork> {
  const given =
    state.Arguments === undefined
      ? cursor.branch.activity.input
      : await t.evaluate(cursor, state.Arguments, "Arguments", token === undefined ? {} : { token });
  if (target.kind === "function") {
    return { kind: "function", functionArn: target.functionArn, payload: given };
  }
  return target.kind === "invoke" ? invocation(given) : nestedExecution(t, given);
}

function invocation(given: unknown): TaskWork {
  const { FunctionName, Payload = {} } = argumentsOf("invoke", given);
  const name = text("invoke", "FunctionName", FunctionName);
  const functionArn = name.startsWith("arn:")
    ? name
    : `arn:aws:lambda:${REGION}:${ACCOUNT_ID}:function:${name}`;
  return { kind: "function", functionArn, payload: Payload };
}

/** The name is chosen here, so that a start repeated after a crash uses the same name. */
function nestedExecution(t: Transition, given: unknown): TaskWork {
  const { StateMachineArn, Input = {}, Name = t.tools.randomness.uuid() } = argumentsOf("execution", given);
  return {
    kind: "execution",
    machineArn: text("execution", "StateMachineArn", StateMachineArn),
    name: text("execution", "Name", Name),
    input: Input,
  };
}

function argumentsOf(kind: keyof typeof ARGUMENTS, given: unknown): Record<string, unknown> {
  const { integration, required, optional } = ARGUMENTS[kind];
  const values = (given ?? {}) as Record<string, unknown>;
  const other = Object.keys(values).find((key) => key !== required && !optional.includes(key));
  if (other) {
    throw new StateFailure("States.Runtime", `The embedded cloud has no argument ${other} of ${integration}`);
  }
  return values;
}

function text(kind: keyof typeof ARGUMENTS, argument: string, value: unknown): string {
  if (typeof value === "string") return value;
  const { integration } = ARGUMENTS[kind];
  throw new StateFailure("States.Runtime", `The argument ${argument} of ${integration} must be a string`);
}
