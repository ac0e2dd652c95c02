import { expect, test } from "vitest";
import { DiskNotFoundError, failureOf } from "./errors.ts";
import { DamagedObjectError } from "./format/errors.ts";

test("our errors are reported with their name, hint and facts", () => {
  expect(failureOf(new DiskNotFoundError("vdz"))).toMatchObject({
    name: "DiskNotFoundError",
    message: "this agent has no disk named vdz",
    hint: expect.stringContaining("--disk"),
    retryable: false,
  });
});

test("errors of the format, which say what to do themselves, keep their names", () => {
  const error = new DamagedObjectError("packs/1", "it is cut short");
  const { name, message, hint, retryable } = error;
  expect(failureOf(error)).toEqual({ name, message, hint, retryable });
  expect(name).toBe("DamagedObjectError");
});

test("a foreign error is our defect, and keeps its message", () => {
  expect(failureOf(new TypeError("x is not a function"))).toMatchObject({
    name: "UnexpectedError",
    message: "TypeError: x is not a function",
  });
  expect(failureOf("text")).toMatchObject({ name: "UnexpectedError", message: "text" });
});
