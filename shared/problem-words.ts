/** What is wrong with a value, for people who have not read its schema. */
import type * as z from "zod";

type Issue = z.core.$ZodRawIssue;

const TYPES: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** For `safeParse`: what the value must be. A message of the schema's own comes before it. */
export function inWords(issue: Issue): string | undefined {
  switch (issue.code) {
    case "too_small":
      return sizeText(issue.inclusive === false ? "more than" : "at least", issue.minimum, issue.origin);
    case "too_big":
      return sizeText(issue.inclusive === false ? "less than" : "at most", issue.maximum, issue.origin);
    case "invalid_value":
      return issue.values.length === 1
        ? `${String(issue.values[0])} is the only choice`
        : `one of ${issue.values.map(String).join(", ")}`;
    case "invalid_type":
      return issue.input === undefined ? "missing" : TYPES[issue.expected];
    default:
      return undefined;
  }
}

function sizeText(relation: string, bound: unknown, origin: string): string {
  const units: Readonly<Record<string, string>> = { string: "character", array: "entry" };
  const unit = units[origin];
  if (unit === undefined) return `${relation} ${String(bound)}`;
  const plural = unit === "entry" ? "entries" : `${unit}s`;
  return `${relation} ${String(bound)} ${Number(bound) === 1 ? unit : plural}`;
}
