import { expect, test } from "vitest";
import { commentWidthFindings } from "./comment-width.ts";
import { parseSource } from "./source.ts";

const linesOf = (...lines: string[]) =>
  commentWidthFindings(parseSource("x.ts", lines.join("\n"))).map(({ line }) => line);
const words = (columns: number) =>
  "word "
    .repeat(columns)
    .slice(0, columns - 1)
    .concat("x");

test("a comment may be as wide as the formatter's lines", () => {
  expect(linesOf(`// ${words(107)}`, "/**", ` * ${words(107)}`, " */")).toEqual([]);
  expect(linesOf("", `// ${words(108)}`, `  /** ${words(108)} */`)).toEqual([2, 3]);
  expect(linesOf("/*", ` * ${words(108)}`, words(111), "*/", `a(); // ${words(103)}`)).toEqual([2, 3, 5]);
});

test("the rule ignores code, and a line that holds only a long link", () => {
  expect(linesOf(`const text = "${words(200)}";`, `const more = "// ${words(200)}";`)).toEqual([]);
  expect(linesOf(`// https://example.com/${"x".repeat(120)}`)).toEqual([]);
});
