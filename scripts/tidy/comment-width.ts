import { type Finding, lineAt, type Source } from "./source.ts";

/** The formatter's `lineWidth`, which the formatter itself does not apply to comments. */
export const MAX_COLUMNS = 110;

/** Lines with a comment that are too wide, except because of a single long word such as a link. */
export function commentWidthFindings({ path, text, comments }: Source): Finding[] {
  const lines = text.split("\n");
  const numbers = comments.flatMap(({ start, end }) => {
    const first = lineAt(text, start);
    return Array.from({ length: lineAt(text, end) - first + 1 }, (_, index) => first + index);
  });
  return [...new Set(numbers)].flatMap((line) => {
    const content = lines[line - 1] ?? "";
    const hasLongWord = content.split(" ").some((word) => word.length > MAX_COLUMNS - 30);
    if (content.length <= MAX_COLUMNS || hasLongWord) return [];
    return [{ path, line, message: `a comment of ${content.length} columns (at most ${MAX_COLUMNS})` }];
  });
}
