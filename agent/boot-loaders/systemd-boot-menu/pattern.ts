/** The names of entries that a default stands for: `*`, `?`, sets in brackets without negation, `\`. */

/** Whether the whole name fits. Both in lower case; a pattern that is not well formed fits nothing. */
export function fitsPattern(pattern: string, name: string): boolean {
  const parts = partsOf(pattern);
  if (!parts) return false;
  // The ends of the name that the parts until here may fit.
  let ends = new Set([0]);
  for (const part of parts) {
    const next = new Set<number>();
    for (const end of ends) {
      if (part === "any") for (let at = end; at <= name.length; at++) next.add(at);
      else if (end < name.length && part(name.charAt(end))) next.add(end + 1);
    }
    ends = next;
  }
  return ends.has(name.length);
}

type Part = "any" | ((character: string) => boolean);

function partsOf(pattern: string): Part[] | undefined {
  const parts: Part[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === "*") parts.push("any");
    else if (character === "?") parts.push(() => true);
    else if (character === "[") {
      const set = setAt(pattern, at);
      if (!set) return undefined;
      parts.push(set.part);
      at = set.end;
    } else {
      const literal = character === "\\" ? pattern.charAt(++at) : character;
      if (literal === "") return undefined;
      parts.push((each) => each === literal);
    }
  }
  return parts;
}

/** `end`: where its closing bracket is. A bracket right after the opening one is one of its characters. */
function setAt(pattern: string, start: number): { part: Part; end: number } | undefined {
  const ranges: [string, string][] = [];
  // Ranges do not chain: in `[a-c-f]` the second dash is a character.
  let canRange = false;
  for (let at = start + 1; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    const isFirst = at === start + 1;
    if (character === "]" && !isFirst) {
      return { part: (each) => ranges.some(([low, high]) => low <= each && each <= high), end: at };
    }
    if (character === "-" && canRange && pattern.charAt(at + 1) !== "]") {
      const low = pattern.charAt(at - 1);
      at += pattern.charAt(at + 1) === "\\" ? 2 : 1;
      ranges.push([low, pattern.charAt(at)]);
      canRange = false;
      continue;
    }
    const literal = character === "\\" ? pattern.charAt(++at) : character;
    ranges.push([literal, literal]);
    canRange = true;
  }
  return undefined;
}
