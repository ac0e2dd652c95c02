import type { Finding, Source } from "./source.ts";

/** The formatter's `lineWidth`, which the formatter itself does not apply to comments. */
export const MAX_COLUMNS = 110;

/** Lines of comments that are too wide, unless one word, such as a link, is what makes them so. */
export function commentWidthFindings({ path, text }: Pick<Source, "path" | "text">): Finding[] {
  return text.split("\n").flatMap((line, index) => {
    if (line.length <= MAX_COLUMNS || !/^\s*(\/\/|\/\*|\*)/.test(line)) return [];
    if (
      line
        .trim()
        .split(" ")
        .some((word) => word.length > MAX_COLUMNS - 30)
    )
      return [];
    return [
      { path, line: index + 1, message: `a comment of ${line.length} columns (at most ${MAX_COLUMNS})` },
    ];
  });
}
