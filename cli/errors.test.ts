import { expect, test } from "vitest";
import {
  ConversionNotCompletedError,
  EXIT,
  exitCodeOf,
  OutputClosedError,
  PreflightNotPassedError,
  RunSkippedError,
  UsageError,
} from "./errors.ts";

test.each([
  ["a wrong option", new UsageError("--every is missing", "protect"), EXIT.usage],
  ["a run that the state of its plan keeps from beginning", new RunSkippedError("it is busy"), EXIT.refused],
  ["a preflight that finds an obstacle", new PreflightNotPassedError("rule failed"), EXIT.refused],
  ["a reader of the output that has ended", new OutputClosedError(), EXIT.failed],
  ["an error without a name", new TypeError("undefined is not a function"), EXIT.failed],
])("%s has its exit code", (_, error, code) => {
  expect(exitCodeOf(error)).toBe(code);
});

test("a conversion that preflight stopped was refused, and one that failed later failed", () => {
  const stopped = (name: string) =>
    new ConversionNotCompletedError("it did not complete", "Try again.", name);
  expect(exitCodeOf(stopped("PreflightFailedError"))).toBe(EXIT.refused);
  expect(exitCodeOf(stopped("DiskFullError"))).toBe(EXIT.failed);
});
