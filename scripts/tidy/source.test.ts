import { expect, test } from "vitest";
import { isProduct, isTest, parseSource } from "./source.ts";

test("imports are found in every form, with the names that they take", () => {
  const text = [
    'import "reflect-metadata";',
    'import whole, { a as b } from "./b.ts";',
    'import * as all from "./all.ts";',
    'const c = await import("#shared/c.ts");',
    'export * from "node:fs";',
    'export { d as e } from "../d.ts";',
    'type F = import("./f.ts").F;',
  ].join("\n");
  expect(parseSource("agent/link/x.ts", text).imports).toEqual([
    { from: "npm:reflect-metadata", names: [] },
    { from: "agent/link/b.ts", names: ["default", "a"] },
    { from: "agent/link/all.ts", names: ["*"] },
    { from: "shared/c.ts", names: ["*"] },
    { from: "agent/link/f.ts", names: ["F"] },
    { from: "node:fs", names: ["*"] },
    { from: "agent/d.ts", names: ["d"] },
  ]);
});

test("exports are the names that the file defines", () => {
  const text = [
    'import { a, b as c } from "./a.ts";',
    "export { a };",
    "export const b = 1, { d, e: f } = c;",
    "export type G = 1;",
    "export const G = 1;",
    "function h() {}",
    "export { h as i };",
  ].join("\n");
  expect(parseSource("x.ts", text).exports).toEqual(["b", "d", "f", "G", "i"]);
});

test("a file that is not TypeScript is an error that names the file", () => {
  expect(() => parseSource("agent/x.ts", "export const = 1")).toThrow(/^agent\/x\.ts: /);
});

test("the path distinguishes tests, their support and the product", () => {
  expect(["a.test.ts", "agent/x/testing/y.ts", "e2e/tests/z.ts"].map(isTest)).toEqual([true, true, true]);
  expect(["agent/x.ts", "bench/x.ts", "agent/testing/x.ts"].map(isProduct)).toEqual([true, false, false]);
});
