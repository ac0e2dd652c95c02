import { UnsupportedError } from "../core/aws-error.ts";
import type { PolicyStatement } from "../core/service.ts";
import { type RequestContext, requireKnownKey } from "./condition-keys.ts";
import { arnMatches, globMatches } from "./glob.ts";
import { VariableText } from "./policy-variables.ts";

/** Whether a request meets one condition of a statement. */
export type Condition = (context: RequestContext) => boolean;

interface Operator {
  /** Whether a value of the request matches one of the policy. */
  matches(actual: string, expected: VariableText, context: RequestContext): boolean;
  /** `Not…` operators are true if no value matches or the key is absent. */
  negated?: true;
}

const stringEquals: Operator["matches"] = (actual, expected, context) => actual === expected.literal(context);
const ignoringCase: Operator["matches"] = (actual, expected, context) =>
  actual.toLowerCase() === expected.literal(context).toLowerCase();
const stringLike: Operator["matches"] = (actual, expected, context) =>
  globMatches(expected.pattern(context), actual);
const arnLike: Operator["matches"] = (actual, expected, context) =>
  arnMatches(expected.pattern(context), actual);
const numeric =
  (compare: (actual: number, expected: number) => boolean): Operator["matches"] =>
  (actual, expected, context) =>
    compare(toNumber(actual), toNumber(expected.literal(context)));

const OPERATORS = new Map<string, Operator>([
  ["StringEquals", { matches: stringEquals }],
  ["StringNotEquals", { matches: stringEquals, negated: true }],
  ["StringEqualsIgnoreCase", { matches: ignoringCase }],
  ["StringNotEqualsIgnoreCase", { matches: ignoringCase, negated: true }],
  ["StringLike", { matches: stringLike }],
  ["StringNotLike", { matches: stringLike, negated: true }],
  ["ArnEquals", { matches: arnLike }],
  ["ArnNotEquals", { matches: arnLike, negated: true }],
  ["ArnLike", { matches: arnLike }],
  ["ArnNotLike", { matches: arnLike, negated: true }],
  ["Bool", { matches: ignoringCase }],
  ["NumericEquals", { matches: numeric((actual, expected) => actual === expected) }],
  ["NumericNotEquals", { matches: numeric((actual, expected) => actual === expected), negated: true }],
  ["NumericLessThan", { matches: numeric((actual, expected) => actual < expected) }],
  ["NumericLessThanEquals", { matches: numeric((actual, expected) => actual <= expected) }],
  ["NumericGreaterThan", { matches: numeric((actual, expected) => actual > expected) }],
  ["NumericGreaterThanEquals", { matches: numeric((actual, expected) => actual >= expected) }],
]);

/**
 * Compiles every condition of a statement. All must be true. Throws `UnsupportedError` for unknown operators
 * and keys.
 */
export function compileConditions(
  block: PolicyStatement["Condition"],
  policyVersion: string | undefined,
): Condition[] {
  return Object.entries(block ?? {}).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, value]) => {
      requireKnownKey(key);
      const expected = [value].flat().map((text) => new VariableText(String(text), policyVersion));
      return compileCondition(operator, key, expected);
    }),
  );
}

function compileCondition(name: string, key: string, expected: readonly VariableText[]): Condition {
  if (name === "Null") return nullCondition(key, expected);
  const [, set, base = name, ifExists] =
    /^(?:(ForAnyValue|ForAllValues):)?(\w+?)(IfExists)?$/.exec(name) ?? [];
  const operator = OPERATORS.get(base);
  if (!operator) throw new UnsupportedError(`the condition operator ${name}`);
  const holds = (actual: string, context: RequestContext): boolean => {
    const matched = expected.some((text) => operator.matches(actual, text, context));
    return matched !== (operator.negated ?? false);
  };
  return (context) => {
    const actual = context.values(key);
    if (set === "ForAllValues") return (actual ?? []).every((value) => holds(value, context));
    if (actual === undefined)
      return ifExists !== undefined || (set === undefined && operator.negated === true);
    if (set === "ForAnyValue") return actual.some((value) => holds(value, context));
    const [value] = actual;
    if (value === undefined || actual.length > 1) {
      throw new UnsupportedError(
        `${name} on ${key}, which has several values (use ForAnyValue or ForAllValues)`,
      );
    }
    return holds(value, context);
  };
}

/** `Null: {key: "true"}` is true if the request does not have the key. */
function nullCondition(key: string, expected: readonly VariableText[]): Condition {
  return (context) => {
    const absent = context.values(key) === undefined;
    return expected.some((text) => text.literal(context).toLowerCase() === String(absent));
  };
}

function toNumber(text: string): number {
  const number = Number(text);
  if (text.trim() === "" || Number.isNaN(number)) {
    throw new UnsupportedError(`a numeric condition on ${JSON.stringify(text)}`);
  }
  return number;
}
