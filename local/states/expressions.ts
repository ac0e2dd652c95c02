import jsonata from "jsonata";
import type { Clock } from "#local/core/service.ts";
import { QueryEvaluationFailure } from "./failure.ts";
import { functionBindings } from "./jsonata-functions.ts";
import type { Randomness } from "./randomness.ts";

/** Limits for expressions that would never end. */
const LIMITS = { timeout: 5000, stack: 1000, sequence: 1_000_000 };

/** The JSONata inside `{% %}`, or `undefined` if the value is plain JSON. */
export function expressionIn(value: unknown): string | undefined {
  if (typeof value !== "string" || !value.startsWith("{%") || !value.endsWith("%}")) return undefined;
  return value.slice(2, -2).trim();
}

/** One for each distinct expression in the machines that there were, so their definitions bound its size. */
const compiled = new Map<string, jsonata.Expression>();

/** Compiles an expression, once in this process; throws an `Error` that says what is wrong with it. */
export function compileExpression(source: string): jsonata.Expression {
  const before = compiled.get(source);
  if (before) return before;
  // AWS omits `$eval`, so that data cannot become an expression.
  if (/\$eval\b/.test(source)) throw new Error("$eval is not available");
  try {
    const expression = jsonata(source, LIMITS);
    compiled.set(source, expression);
    return expression;
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error });
  }
}

/** Evaluates templates: JSON in which every string in `{% %}` is replaced by the value of its expression. */
export class Expressions {
  readonly #clock: Clock;
  readonly #randomness: Randomness;

  constructor(clock: Clock, randomness: Randomness) {
    this.#clock = clock;
    this.#randomness = randomness;
  }

  /**
   * Returns the template's value as plain JSON. `location`, such as `Arguments`, names it in errors. Rejects
   * with `QueryEvaluationFailure` if an expression fails or returns no value.
   */
  async evaluate(template: unknown, location: string, bindings: Record<string, unknown>): Promise<unknown> {
    const source = expressionIn(template);
    if (source !== undefined) return this.#run(source, location, bindings);
    if (Array.isArray(template)) {
      const items: unknown[] = [];
      for (const [index, item] of template.entries()) {
        items.push(await this.evaluate(item, `${location}[${index}]`, bindings));
      }
      return items;
    }
    if (typeof template === "object" && template !== null) {
      const entries: [string, unknown][] = [];
      for (const [key, value] of Object.entries(template)) {
        entries.push([key, await this.evaluate(value, `${location}/${key}`, bindings)]);
      }
      return Object.fromEntries(entries);
    }
    return template;
  }

  async #run(source: string, location: string, bindings: Record<string, unknown>): Promise<unknown> {
    let value: unknown;
    try {
      value = await compileExpression(source).evaluate(undefined, {
        ...functionBindings(this.#clock, this.#randomness),
        ...bindings,
      });
    } catch (error) {
      throw failed(source, location, `failed: ${reasonOf(error)}`, error);
    }
    // JSONata marks its sequences and shares its input. States must keep their own plain JSON.
    const text = isFunction(value) ? undefined : JSON.stringify(value);
    if (text === undefined) throw failed(source, location, "gave no JSON value (undefined or a function)");
    return JSON.parse(text);
  }
}

function isFunction(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    ("_jsonata_lambda" in value || "_jsonata_function" in value)
  );
}

function failed(source: string, location: string, what: string, cause?: unknown): QueryEvaluationFailure {
  return new QueryEvaluationFailure(location, `The JSONata expression '${source}' of '${location}' ${what}`, {
    cause,
  });
}

/** JSONata throws plain objects. */
function reasonOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return String(error);
  const { code, message } = error as { code?: unknown; message?: unknown };
  return [code, message].filter((part) => typeof part === "string").join(": ") || JSON.stringify(error);
}
