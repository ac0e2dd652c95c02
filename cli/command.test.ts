import { expect, test } from "vitest";
import { type CliCall, secondsOption } from "./command.ts";

const secondsOf = (value: string | undefined) => {
  const values = value === undefined ? {} : { margin: value };
  return secondsOption({ values } as unknown as CliCall, "margin", "cutover create");
};

test.each([
  ["300", 300],
  ["0", 0],
  ["90s", 90],
  ["5m", 300],
  ["2h", 7200],
  ["1d", 86_400],
])("the duration %s is %i seconds", (value, expected) => {
  expect(secondsOf(value)).toBe(expected);
});

test("an option that is not given has no duration", () => {
  expect(secondsOf(undefined)).toBeUndefined();
});

test.each(["", "5 m", "-5m", "1.5h", "5M", "1h30m", "0x10", "1e3", "soon"])("%j is no duration", (value) => {
  expect(() => secondsOf(value)).toThrow("--margin must be like 300 (seconds), 90s, 5m or 2h");
});
