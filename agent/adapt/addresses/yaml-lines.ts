import type { YamlValue } from "./yaml-text.ts";

/** A mapping as lines of YAML, each indented at least so far. */
export function blockLines(mapping: Record<string, YamlValue>, indent: number): string[] {
  const blank = " ".repeat(indent);
  return Object.entries(mapping).flatMap(([key, value]) => {
    const head = `${blank}${scalarText(key)}:`;
    if (typeof value === "string") return [value === "" ? head : `${head} ${scalarText(value)}`];
    if (Array.isArray(value))
      return value.length === 0
        ? [`${head} []`]
        : [head, ...value.flatMap((item) => itemLines(item, indent + 2))];
    return Object.keys(value).length === 0 ? [`${head} {}`] : [head, ...blockLines(value, indent + 2)];
  });
}

/** `- a`, or `- a: b` with the other keys below. */
function itemLines(item: YamlValue, indent: number): string[] {
  const dash = `${" ".repeat(indent)}- `;
  if (typeof item === "string") return [`${dash}${scalarText(item)}`];
  const nested = Array.isArray(item)
    ? item.flatMap((one) => itemLines(one, indent + 2))
    : blockLines(item, indent + 2);
  const [first, ...others] = nested;
  return first === undefined
    ? [`${dash}${Array.isArray(item) ? "[]" : "{}"}`]
    : [`${dash}${first.slice(indent + 2)}`, ...others];
}

/** In quotes where it could mean something else. */
export function scalarText(text: string): string {
  return /^[A-Za-z0-9./][A-Za-z0-9./ _+-]*$/.test(text) && text.trim() === text
    ? text
    : `'${text.replaceAll("'", "''")}'`;
}
