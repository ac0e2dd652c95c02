import { expect, test } from "vitest";
import { ManualClock } from "#local/core/clock.ts";
import { Expressions } from "./expressions.ts";

const expressions = new Expressions(new ManualClock(Date.UTC(2030, 0, 1)), {
  uuid: () => "a-uuid",
  number: () => 0.5,
  secret: () => "a-secret",
});
const evaluate = (template: unknown, bindings: Record<string, unknown> = {}) =>
  expressions.evaluate(template, "Output", bindings);

test.each<[string, unknown]>([
  ["$partition([1, 2, 3], 2)", [[1, 2], [3]]],
  ["$range(0, 10, 5)", [0, 5, 10]],
  ["$range(3, 1, -1)", [3, 2, 1]],
  ["$hash('abc', 'SHA-256')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["$hash('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"],
  ["$random()", 0.5],
  ["$random(7) = $random(7)", true],
  ["$uuid()", "a-uuid"],
  ['$parse("{\\"a\\":[1]}").a[0]', 1],
  ["$now()", "2030-01-01T00:00:00.000Z"],
  ["$millis()", Date.UTC(2030, 0, 1)],
  ["$x.y", 5],
])("%s", async (source, expected) => {
  expect(await evaluate(`{% ${source} %}`, { x: { y: 5 } })).toEqual(expected);
});

test("every string of a template that is an expression is replaced; the rest stays as it is", async () => {
  const template = { a: ["{% 1 + 1 %}", "plain {% 1 %}"], b: { c: "{%$x%}" }, d: null };
  expect(await evaluate(template, { x: [] })).toEqual({ a: [2, "plain {% 1 %}"], b: { c: [] }, d: null });
});

test.each([
  ["an undefined result", "{% $nothing.here %}"],
  ["a function", "{% function($x) { $x } %}"],
  ["a builtin function", "{% $sum %}"],
  ["a type error", "{% 1 + 'a' %}"],
  ["bad JSON", "{% $parse('{') %}"],
  ["an unknown hash", "{% $hash('a', 'CRC') %}"],
  ["a range without end", "{% $range(1, 1000000, 1) %}"],
  ["endless recursion", "{% ($f := function($n) { 1 + $f($n) }; $f(1)) %}"],
])("%s is an evaluation error that names its place", async (_, expression) => {
  await expect(evaluate({ a: expression })).rejects.toMatchObject({
    location: "Output/a",
    failure: { error: "States.QueryEvaluationError" },
  });
});
