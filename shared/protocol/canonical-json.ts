/** Deeper than anything that we sign. Without a limit, a hostile peer could exhaust the stack. */
const MOST_LEVELS = 64;

/**
 * The same text for equal values, whatever the order of their members: members are sorted by name, without
 * space, and absent members are left out. Parsing the text returns the value, so different values have
 * different texts. Throws `TypeError` for a value that JSON cannot express, such as the infinity that
 * `JSON.parse` makes from `1e999`, and for more than 64 levels.
 */
export function canonicalJson(value: unknown): string {
  return textOf(value, 0);
}

function textOf(value: unknown, level: number): string {
  if (level > MOST_LEVELS) throw new TypeError(`more than ${MOST_LEVELS} levels`);
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item, level + 1)).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${JSON.stringify(name)}:${textOf(member, level + 1)}`);
    return `{${members.join(",")}}`;
  }
  if (value === undefined || (typeof value === "number" && !Number.isFinite(value)))
    throw new TypeError(`JSON has no ${value}`);
  return JSON.stringify(value);
}
