import { expect, test } from "vitest";
import { doubleNameFindings } from "./double-names.ts";
import { parseSource } from "./source.ts";

const namesIn = (files: Record<string, string>) =>
  doubleNameFindings(Object.entries(files).map(([path, text]) => parseSource(path, text))).map(
    ({ key }) => key,
  );

test("one name in two files of the product is found, be it a value or a type", () => {
  expect(
    namesIn({
      "agent/a.ts": "export interface Disk {}\nexport function run() {}",
      "shared/b.ts": "export const Disk = 1;\nexport type Disk = 1;",
      "cli/c.ts": "function run() {}",
    }),
  ).toEqual(["Disk"]);
});

test("a name that is only passed on is defined once", () => {
  const found = namesIn({
    "shared/a.ts": "export const disk = 1;",
    "shared/b.ts": 'export { disk } from "./a.ts";',
    "shared/c.ts": 'import { disk } from "./a.ts";\nexport { disk };',
  });
  expect(found).toEqual([]);
});

test("tests, the embedded cloud and the handlers of functions have names of their own", () => {
  expect(
    namesIn({
      "agent/a.ts": "export const disk = 1;",
      "agent/testing/a.ts": "export const disk = 1;",
      "local/a.ts": "export const disk = 1;",
      "functions/api/a.ts": "export const handler = 1;",
      "functions/api/b.ts": "export const handler = 1;",
    }),
  ).toEqual([]);
});
