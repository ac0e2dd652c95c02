import { expect, test } from "vitest";
import { commentWidthFindings } from "./comment-width.ts";

const linesOf = (...lines: string[]) =>
  commentWidthFindings({ path: "x.ts", text: lines.join("\n") }).map(({ line }) => line);
const words = (columns: number) =>
  "word "
    .repeat(columns)
    .slice(0, columns - 1)
    .concat("x");

test("a comment may be as wide as the formatter's lines", () => {
  expect(linesOf(`// ${words(107)}`, ` * ${words(107)}`)).toEqual([]);
  expect(linesOf("", `// ${words(108)}`, `  /** ${words(108)}`, ` * ${words(108)}`)).toEqual([2, 3, 4]);
});

test("code is the formatter's affair, and a long link may stand alone", () => {
  expect(linesOf(`const text = "${words(200)}";`, `// https://example.com/${"x".repeat(120)}`)).toEqual([]);
});
