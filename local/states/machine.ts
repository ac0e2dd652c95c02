import type * as z from "zod";
import { AwsError, UnsupportedError } from "#local/core/aws-error.ts";
import { Definition, type Processor, type State } from "./definition.ts";
import { checkScopes, checkState, checkTransitions, innerProcessors, invalid } from "./machine-rules.ts";

/** A definition that has been checked and can run. */
export interface Machine {
  definition: Definition;
  /**
   * Every state by its name, which is unique in the whole machine, those inside Map and Parallel included.
   */
  states: ReadonlyMap<string, State>;
}

/** Those that there were, by their texts. Each execution asks for its own twice, and a check takes time. */
const compiled = new Map<string, Machine>();

/**
 * Checks a definition, once in this process. Throws `AwsError` with code `InvalidDefinition` when AWS would
 * refuse it, and `UnsupportedError` when only the embedded cloud does.
 */
export function compileMachine(text: string): Machine {
  const machine = compiled.get(text) ?? checkedMachine(text);
  compiled.set(text, machine);
  return machine;
}

function checkedMachine(text: string): Machine {
  const definition = parseDefinition(text);
  const states = new Map<string, State>();
  for (const processor of processorsOf(definition)) {
    checkTransitions(processor);
    for (const [name, state] of Object.entries(processor.States)) {
      if (states.has(name)) throw invalid(`the state name ${name} is used twice`);
      checkState(name, state);
      states.set(name, state);
    }
  }
  checkScopes(definition, new Set());
  return { definition, states };
}

/** The state of this name, which a checked machine has. */
export function stateNamed(machine: Machine, name: string): State {
  const state = machine.states.get(name);
  if (!state) throw new Error(`the machine has no state ${name}`);
  return state;
}

function* processorsOf(processor: Processor): Generator<Processor> {
  yield processor;
  for (const state of Object.values(processor.States)) {
    for (const inner of innerProcessors(state)) yield* processorsOf(inner);
  }
}

function parseDefinition(text: string): Definition {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new AwsError("InvalidDefinition", "Invalid State Machine Definition: it is not JSON", 400, {
      cause: error,
    });
  }
  const language = (json as { QueryLanguage?: unknown } | null)?.QueryLanguage;
  if (language === undefined || language === "JSONPath") {
    throw new UnsupportedError('state machines in JSONPath: set "QueryLanguage": "JSONata"');
  }
  const parsed = Definition.safeParse(json);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) refuseUnsupported(issue);
  const issues = parsed.error.issues.map((issue) => `${issue.path.join("/") || "/"}: ${issue.message}`);
  throw invalid(issues.join("; "));
}

/** Fields of JSONPath, of Distributed Map and of cross-account tasks are valid on AWS. */
const ELSEWHERE =
  /^(InputPath|OutputPath|ResultPath|ResultSelector|Parameters|Result|Iterator|Credentials|ItemReader|ItemBatcher|ResultWriter|Label|ToleratedFailure\w+|\w+Path|Variable)$/;

function refuseUnsupported(issue: z.core.$ZodIssue): void {
  if (issue.code !== "unrecognized_keys") return;
  const key = issue.keys.find((name) => ELSEWHERE.test(name));
  if (key) throw new UnsupportedError(`the field ${[...issue.path, key].join("/")} of a state machine`);
}
