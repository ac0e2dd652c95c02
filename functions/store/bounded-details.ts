/** Shortens text that others wrote for the audit: enough to recognise it, within a limit. */

const MAX_TEXT = 200;
const MAX_ITEMS = 10;
const MAX_DEPTH = 2;
const MAX_BYTES = 4096;

/** The details, with long texts, long lists and deep structures shortened to at most 4 KiB of JSON. */
export function boundedDetails(details: Record<string, unknown>): Record<string, unknown> {
  const cut = bounded(details, 0) as Record<string, unknown>;
  return Buffer.byteLength(JSON.stringify(cut)) <= MAX_BYTES ? cut : { cut: `more than ${MAX_BYTES} bytes` };
}

/** At most 200 characters. */
export function clipped(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
}

function bounded(value: unknown, depth: number): unknown {
  if (typeof value === "string") return clipped(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) return "…";
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((each) => bounded(each, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_ITEMS)
      .map(([name, each]) => [clipped(name), bounded(each, depth + 1)]),
  );
}
