import { UnsupportedError } from "../core/aws-error.ts";
import { type RequestContext, requireKnownKey } from "./condition-keys.ts";
import { escapeForGlob } from "./glob.ts";

const VARIABLE = /\$\{([^}]*)\}/g;

/** Policy text with `${…}` variables for the request's values. */
export class VariableText {
  readonly #text: string;
  /** Whether it is the same for every request. */
  readonly constant: boolean;

  /** Throws `UnsupportedError` for variables that the embedded cloud never fills in. */
  constructor(text: string, policyVersion: string | undefined) {
    this.#text = text;
    this.constant = !text.includes("${");
    if (this.constant) return;
    if (policyVersion !== "2012-10-17") {
      throw new UnsupportedError(`policy variables in a policy without Version 2012-10-17 (${text})`);
    }
    for (const [, name = ""] of text.matchAll(VARIABLE)) if (!LITERALS.has(name)) requireKnownKey(name);
  }

  /**
   * The text as a pattern. Values of variables match literally. Throws `UnsupportedError` if the request
   * lacks a variable.
   */
  pattern(context: RequestContext): string {
    if (this.constant) return this.#text;
    return this.#text.replaceAll(VARIABLE, (_, name: string) => {
      const literal = LITERALS.get(name);
      return escapeForGlob(literal ?? this.#value(name, context));
    });
  }

  /** The text with variables replaced, for comparisons without wildcards. */
  literal(context: RequestContext): string {
    if (this.constant) return this.#text;
    return this.#text.replaceAll(
      VARIABLE,
      (_, name: string) => LITERALS.get(name) ?? this.#value(name, context),
    );
  }

  #value(name: string, context: RequestContext): string {
    const values = context.values(name);
    const [value] = values ?? [];
    if (value === undefined || values?.length !== 1) {
      throw new UnsupportedError(
        `the policy variable \${${name}} in a request that gives it no single value`,
      );
    }
    return value;
  }
}

/** A policy writes these characters literally as `${*}`, `${?}` and `${$}`. */
const LITERALS = new Map([
  ["*", "*"],
  ["?", "?"],
  ["$", "$"],
]);
