import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "./canonical-json.ts";

test("equal values have one canonical text, which is JSON and gives the value back", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      expect(canonicalJson(JSON.parse(text))).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  expect(canonicalJson({ b: [1, { d: null, c: "x" }], a: undefined })).toBe('{"b":[1,{"c":"x","d":null}]}');
});

test("a member called __proto__ is a member like any other", () => {
  const value: unknown = JSON.parse('{"__proto__": {"a": 1}, "b": 2}');
  expect(canonicalJson(value)).toBe('{"__proto__":{"a":1},"b":2}');
});

test("a value that JSON cannot express is refused, because 1e999 would otherwise look like null", () => {
  for (const value of [JSON.parse("1e999"), -Infinity, Number.NaN, undefined, [undefined]])
    expect(() => canonicalJson({ value: [value] })).toThrow(TypeError);
});

test("values that are nested too deeply are refused before the stack is exhausted", () => {
  const deep: unknown = JSON.parse("[".repeat(60_000) + "]".repeat(60_000));
  expect(() => canonicalJson(deep)).toThrow("levels");
});
