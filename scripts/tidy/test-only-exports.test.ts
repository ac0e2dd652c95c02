import { expect, test } from "vitest";
import { parseSource } from "./source.ts";
import { testOnlyExportFindings } from "./test-only-exports.ts";

const namesIn = (files: Record<string, string>) =>
  testOnlyExportFindings(Object.entries(files).map(([path, text]) => parseSource(path, text))).map(
    ({ key }) => key,
  );

test("an export that only a test imports is found, though a comment names it", () => {
  expect(
    namesIn({
      "agent/a.ts": "/** See old and young. */\nexport const old = 1;\nexport const young = 2;",
      "agent/a.test.ts": 'import { old, young } from "./a.ts";',
      "cli/b.ts": 'import { young } from "#agent/a.ts";',
    }),
  ).toEqual(["agent/a.ts#old"]);
});

test("an export that its own file uses, or that a namespace import may use, is not a finding", () => {
  expect(
    namesIn({
      "agent/a.ts": "export const size = 1;\nexport const twice = size * 2;",
      "agent/b.ts": "export const any = 1;",
      "cli/c.ts": 'import { twice } from "#agent/a.ts";\nimport * as b from "#agent/b.ts";',
    }),
  ).toEqual([]);
});

test("a function's handler is used, because templates name it", () => {
  expect(namesIn({ "functions/api/a.ts": "export const handler = 1;" })).toEqual([]);
});
