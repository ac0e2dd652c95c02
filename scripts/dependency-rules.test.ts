import { expect, test } from "vitest";
import { importsOf, violations } from "./dependency-rules.ts";

test("imports are found in every form", () => {
  const text =
    'import "reflect-metadata";\nimport { a } from "./b.ts";\nconst c = await import("#shared/c.ts");\nexport * from "node:fs";\n';
  expect(importsOf("agent/link/x.ts", text)).toEqual([
    "npm:reflect-metadata",
    "agent/link/b.ts",
    "shared/c.ts",
    "node:fs",
  ]);
});

test("a decision that reads a file is named, with the reason", () => {
  expect(violations("shared/domain/x.ts", 'import { readFileSync } from "node:fs";')).toEqual([
    "shared/domain/x.ts imports node:fs: decisions do no IO",
  ]);
});

test("the embedded cloud may not know Causeway, even by a relative path", () => {
  expect(violations("local/s3/x.ts", 'import { a } from "../../shared/errors.ts";')).toHaveLength(1);
});
