import type { Expression, Operator, Selection, Statement } from "./parser.ts";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The values that SQL functions in a rule return. */
export interface MessageContext {
  /** Without the `$aws/rules/<rule>/` of Basic Ingest. */
  topic: string;
  clientId?: string;
  principal?: string;
  /** Milliseconds since 1970. */
  timestamp: number;
}

/** `SELECT *` with other values needs an object payload to which they can be added. */
export class NotAnObjectError extends Error {
  override readonly name = "NotAnObjectError";
}

/**
 * `SELECT *` is combined with a value whose name is also in the payload. AWS does not document which one
 * wins.
 */
export class AmbiguousSelectionError extends Error {
  override readonly name = "AmbiguousSelectionError";
}

/**
 * The values that the rule selects from a message. Returns `undefined` if its WHERE is not true. A missing
 * value is omitted. A condition on a missing value, or between different types, is not true, and neither is a
 * NOT, AND or OR of it.
 */
export function evaluate(statement: Statement, payload: Json, context: MessageContext): Json | undefined {
  if (statement.where && value(statement.where, payload, context) !== true) return undefined;
  const [only] = statement.selections;
  if (statement.selections.length === 1 && only?.kind === "all") return payload;
  const selected = statement.selections.flatMap((selection) => entries(selection, payload, context));
  const names = selected.map(([name]) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    throw new AmbiguousSelectionError(`the payload has "${twice}", which the rule selects too`);
  return Object.fromEntries(selected);
}

function entries(selection: Selection, payload: Json, context: MessageContext): [string, Json][] {
  if (selection.kind === "all") {
    if (!isObject(payload)) throw new NotAnObjectError("SELECT * with further values needs a JSON object");
    return Object.entries(payload);
  }
  const selected = value(selection.value, payload, context);
  return selected === undefined ? [] : [[selection.name, selected]];
}

function value(expression: Expression, payload: Json, context: MessageContext): Json | undefined {
  const operand = (inner: Expression) => value(inner, payload, context);
  switch (expression.kind) {
    case "literal":
      return expression.value;
    case "path":
      return expression.fields.reduce<Json | undefined>(field, payload);
    case "call":
      return call(expression.name, expression.level, context);
    case "not": {
      const inner = operand(expression.operand);
      return typeof inner === "boolean" ? !inner : undefined;
    }
    case "and":
    case "or": {
      const [left, right] = [operand(expression.left), operand(expression.right)];
      if (typeof left !== "boolean" || typeof right !== "boolean") return undefined;
      return expression.kind === "and" ? left && right : left || right;
    }
    case "compare":
      return compare(expression.operator, operand(expression.left), operand(expression.right));
  }
}

function field(object: Json | undefined, name: string): Json | undefined {
  return isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined;
}

function call(name: string, level: number | undefined, context: MessageContext): Json | undefined {
  switch (name) {
    case "topic":
      return level === undefined ? context.topic : context.topic.split("/")[level - 1];
    case "timestamp":
      return context.timestamp;
    // AWS documents this for messages that did not come over MQTT.
    case "clientid":
      return context.clientId ?? "N/A";
    default:
      return context.principal;
  }
}

function compare(operator: Operator, left: Json | undefined, right: Json | undefined): boolean | undefined {
  if (operator === "=" || operator === "<>") {
    if (!isPrimitive(left) || !isPrimitive(right) || kindOf(left) !== kindOf(right)) return undefined;
    return (left === right) === (operator === "=");
  }
  const both = typeof left === "number" && typeof right === "number";
  if (!both && !(typeof left === "string" && typeof right === "string")) return undefined;
  switch (operator) {
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
  }
}

function isObject(json: Json | undefined): json is { [name: string]: Json } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function isPrimitive(json: Json | undefined): json is null | boolean | number | string {
  return json !== undefined && (json === null || typeof json !== "object");
}

function kindOf(json: Json): string {
  return json === null ? "null" : typeof json;
}
