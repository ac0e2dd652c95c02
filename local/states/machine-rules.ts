/** The rules for a definition beyond its shape. */
import { AwsError, UnsupportedError } from "#local/core/aws-error.ts";
import type { Catcher, Processor, Retrier, State, TaskState } from "./definition.ts";
import { compileExpression, expressionIn } from "./expressions.ts";
import { taskTarget } from "./task-target.ts";

export function invalid(what: string): AwsError {
  return new AwsError("InvalidDefinition", `Invalid State Machine Definition: ${what}`);
}

/** The processors directly inside a state. */
export function innerProcessors(state: State): Processor[] {
  if (state.Type === "Map") return [state.ItemProcessor];
  return state.Type === "Parallel" ? state.Branches : [];
}

/** Every transition leads to a state beside it, and every state can be reached and can end. */
export function checkTransitions(processor: Processor): void {
  const targets = new Set([processor.StartAt]);
  for (const [name, state] of Object.entries(processor.States)) {
    if ("Next" in state && state.Next !== undefined) {
      if (state.End) throw invalid(`the state ${name} has both Next and End`);
      targets.add(state.Next);
    } else if (!("End" in state && state.End) && !ENDS_BY_ITSELF.has(state.Type)) {
      throw invalid(`the state ${name} has neither Next nor End`);
    }
    for (const next of branchesOff(state)) targets.add(next);
  }
  for (const target of targets) {
    if (!Object.hasOwn(processor.States, target))
      throw invalid(`there is no state ${target} beside the one that names it`);
  }
  for (const name of Object.keys(processor.States)) {
    if (!targets.has(name)) throw invalid(`no transition leads to the state ${name}`);
  }
}
const ENDS_BY_ITSELF = new Set<State["Type"]>(["Choice", "Succeed", "Fail"]);

function branchesOff(state: State): string[] {
  if (state.Type === "Choice") {
    return [
      ...state.Choices.map((rule) => rule.Next),
      ...(state.Default === undefined ? [] : [state.Default]),
    ];
  }
  return "Catch" in state ? (state.Catch ?? []).map((catcher) => catcher.Next) : [];
}

export function checkState(name: string, state: State): void {
  checkExpressions(state, name);
  if (state.Type === "Task") checkTask(name, state);
  if (state.Type === "Wait" && (state.Seconds === undefined) === (state.Timestamp === undefined)) {
    throw invalid(`the state ${name} needs either Seconds or Timestamp`);
  }
  if (state.Type === "Map" && state.ItemProcessor.ProcessorConfig?.Mode === "DISTRIBUTED") {
    throw new UnsupportedError(`the Distributed Map ${name}`);
  }
  if (state.Type !== "Task" && state.Type !== "Map" && state.Type !== "Parallel") return;
  checkErrors(name, state.Retry);
  checkErrors(name, state.Catch);
}

function checkTask(name: string, state: TaskState): void {
  const target = taskTarget(state.Resource);
  if (state.HeartbeatSeconds !== undefined && !(target.kind === "invoke" && target.waitForToken)) {
    throw new UnsupportedError(`HeartbeatSeconds without waitForTaskToken, in the state ${name}`);
  }
  const { TimeoutSeconds, HeartbeatSeconds } = state;
  if (typeof TimeoutSeconds === "number" && typeof HeartbeatSeconds === "number") {
    if (HeartbeatSeconds >= TimeoutSeconds) {
      throw invalid(`HeartbeatSeconds must be less than TimeoutSeconds, in the state ${name}`);
    }
  }
  if (target.kind === "function" || expressionIn(state.Arguments) !== undefined) return;
  const { integration, required, optional }: Integration = ARGUMENTS[target.kind];
  const given = state.Arguments;
  if (typeof given !== "object" || given === null || !(required in given)) {
    throw invalid(`the state ${name} must have Arguments with a ${required}`);
  }
  const other = Object.keys(given).find((key) => key !== required && !optional.includes(key));
  if (other) throw new UnsupportedError(`the argument ${other} of ${integration}, in the state ${name}`);
}

interface Integration {
  integration: string;
  required: string;
  optional: readonly string[];
}

/** The arguments that the integrations accept. */
export const ARGUMENTS: Readonly<Record<"invoke" | "execution", Integration>> = {
  invoke: { integration: "lambda:invoke", required: "FunctionName", optional: ["Payload"] },
  execution: {
    integration: "states:startExecution",
    required: "StateMachineArn",
    optional: ["Input", "Name"],
  },
};

/** Whether the role of a state machine with this state needs the rights to receive execution events. */
export function startsExecution(state: State): boolean {
  return state.Type === "Task" && taskTarget(state.Resource).kind === "execution";
}

function checkErrors(name: string, rules: readonly (Retrier | Catcher)[] = []): void {
  for (const [index, rule] of rules.entries()) {
    if (!rule.ErrorEquals.includes("States.ALL")) continue;
    if (rule.ErrorEquals.length > 1 || index < rules.length - 1) {
      throw invalid(`States.ALL must stand alone and last, in the state ${name}`);
    }
  }
}

/** Compiles every expression of a state. Those of inner states are checked with the inner states. */
function checkExpressions(value: unknown, at: string): void {
  const source = expressionIn(value);
  if (source !== undefined) {
    try {
      compileExpression(source);
    } catch (error) {
      throw invalid(`${at}: ${(error as Error).message}`);
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (key !== "ItemProcessor" && key !== "Branches") checkExpressions(inner, `${at}/${key}`);
    }
  }
}

/** An inner scope can read an outer variable but cannot assign its name, because AWS refuses to shadow it. */
export function checkScopes(processor: Processor, outer: ReadonlySet<string>): void {
  const assigned = new Set<string>();
  for (const [name, state] of Object.entries(processor.States)) {
    for (const variable of assignedBy(state)) {
      if (variable === "states") throw invalid(`the state ${name} assigns the reserved variable $states`);
      if (outer.has(variable)) {
        throw invalid(`the state ${name} assigns $${variable}, which belongs to an outer scope`);
      }
      assigned.add(variable);
    }
  }
  const visible = new Set([...outer, ...assigned]);
  for (const state of Object.values(processor.States)) {
    for (const inner of innerProcessors(state)) checkScopes(inner, visible);
  }
}

function assignedBy(state: State): string[] {
  const assigns = [
    "Assign" in state ? state.Assign : undefined,
    ...("Catch" in state ? (state.Catch ?? []).map((catcher) => catcher.Assign) : []),
    ...(state.Type === "Choice" ? state.Choices.map((rule) => rule.Assign) : []),
  ];
  return assigns.flatMap((assign) => Object.keys(assign ?? {}));
}
