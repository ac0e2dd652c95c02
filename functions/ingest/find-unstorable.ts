/** Of DynamoDB's 32 levels, what an item leaves to a value that another machine sent. */
const MAX_DEPTH = 24;
/** DynamoDB keeps no number nearer to zero. */
const MIN_NUMBER = 1e-130;

/**
 * The first reason why the table cannot keep a value that was JSON, or `undefined` if it can. What it cannot
 * keep must be refused at once: it would fail in the middle of the work, every time it is tried again.
 */
export function findUnstorable(root: unknown): string | undefined {
  const waiting = [{ value: root, depth: 0 }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { value, depth } = next;
    if (typeof value === "number" && !isStorableNumber(value)) return "a number is too large or too small";
    if (typeof value !== "object" || value === null) continue;
    if (depth === MAX_DEPTH) return `it nests deeper than ${MAX_DEPTH} levels`;
    // Copied, it would become the prototype of the copy.
    if (Object.hasOwn(value, "__proto__")) return "a field is called __proto__";
    for (const inner of Object.values(value)) waiting.push({ value: inner, depth: depth + 1 });
  }
  return undefined;
}

function isStorableNumber(value: number): boolean {
  const size = Math.abs(value);
  return size === 0 || (size >= MIN_NUMBER && size <= Number.MAX_SAFE_INTEGER);
}
