import { expect, test } from "vitest";
import { functionLengthFindings, MAX_FUNCTION_LINES } from "./function-length.ts";
import { parseSource } from "./source.ts";

const body = (lines: number) => "a();\n".repeat(lines);
const at = (path: string, text: string) =>
  functionLengthFindings(parseSource(path, text)).map(({ line }) => line);

test("functions, methods and arrow functions may have 70 lines, and not one more", () => {
  const shapes: [string, string][] = [
    ["function f() {\n", "}\n"],
    ["const f = async () => {\n", "};\n"],
    ["class A { m() {\n", "} }\n"],
    ["const o = { m() {\n", "} };\n"],
  ];
  for (const [before, after] of shapes) {
    expect(at("x.ts", before + body(MAX_FUNCTION_LINES - 2) + after)).toEqual([]);
    expect(at("x.ts", `\n${before}${body(MAX_FUNCTION_LINES - 1)}${after}`)).toEqual([2]);
  }
});

test("the callbacks of a test may be longer", () => {
  expect(at("x.test.ts", `describe("x", () => {\n${body(200)}});\n`)).toEqual([]);
});

test("braces in strings, comments and templates do not count", () => {
  expect(at("x.ts", `function f() { return "{"; } // {\nconst t = \`\${"{"}\`;\n${body(100)}`)).toEqual([]);
});
