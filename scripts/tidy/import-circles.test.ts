import { expect, test } from "vitest";
import { importCircleFindings } from "./import-circles.ts";
import { parseSource } from "./source.ts";

const circlesOf = (files: Record<string, string>) =>
  importCircleFindings(Object.entries(files).map(([path, text]) => parseSource(path, text))).map(
    ({ message }) => message,
  );

test("a circle of types is a circle, over however many files", () => {
  expect(
    circlesOf({
      "a/x.ts": 'import { y } from "./y.ts";',
      "a/y.ts": 'import { z } from "./z.ts";',
      "a/z.ts": 'import type { x } from "./x.ts";',
    }),
  ).toEqual(["imports itself: a/x.ts -> a/y.ts -> a/z.ts -> a/x.ts"]);
});

test("two import paths to one file are not a circle", () => {
  expect(
    circlesOf({
      "a/x.ts": 'import { y } from "./y.ts"; import { z } from "./z.ts";',
      "a/y.ts": 'import { z } from "./z.ts";',
      "a/z.ts": "export const z = 1;",
    }),
  ).toEqual([]);
});
