import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { DiskFullError, DiskNotFoundError, failureOf, NotFoundError } from "./errors.ts";

test("our errors are reported with their name, hint and facts", () => {
  expect(failureOf(new DiskNotFoundError("vdz"))).toMatchObject({
    name: "DiskNotFoundError",
    message: "this agent has no disk named vdz",
    hint: expect.stringContaining("--disk"),
    retryable: false,
  });
});

test("an error that crosses a thread keeps its name, hint and facts", async () => {
  const url = new URL("./errors.ts", import.meta.url).href;
  const code = `import(${JSON.stringify(url)}).then(({ DiskFullError }) => { throw new DiskFullError("/images", 5, 2); });`;
  const thread = new Worker(code, { eval: true });
  const [error] = (await once(thread, "error")) as unknown[];
  expect(error).not.toBeInstanceOf(DiskFullError);
  expect(failureOf(error)).toEqual(failureOf(new DiskFullError("/images", 5, 2)));
});

test("an unexpected error counts as our defect, and keeps its message", () => {
  expect(failureOf(new TypeError("x is not a function"))).toMatchObject({
    name: "UnexpectedError",
    message: "TypeError: x is not a function",
  });
  expect(failureOf("text")).toMatchObject({ name: "UnexpectedError", message: "text" });
});

const thrownBy = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

test.each([
  ["a path that does not exist", () => statSync("/nonexistent/file"), "/nonexistent/file does not exist"],
  [
    "a file in place of a folder",
    () => mkdirSync("/etc/passwd/data"),
    "/etc/passwd/data leads through a file that is not a folder",
  ],
  ["a folder in place of a file", () => readFileSync("/etc"), "a file is a folder"],
  ["a file in place of a folder to make", () => mkdirSync("/etc/passwd"), "/etc/passwd is not a folder"],
  [
    "a program that is not installed",
    () => execFileSync("causeway-no-such-program"),
    "causeway-no-such-program is not installed",
  ],
])("%s is reported with its remedy, and not as a defect", (_, work, message) => {
  const failure = failureOf(thrownBy(work));
  expect(failure).toMatchObject({ name: "SystemRefusedError", message });
  expect(failure.hint).not.toContain("defect");
});

test("a connection that breaks is not taken for a refused file", () => {
  const error = Object.assign(new Error("read ECONNRESET"), {
    code: "ECONNRESET",
    errno: -104,
    syscall: "read",
  });
  expect(failureOf(error).name).toBe("UnexpectedError");
});

test.each([
  ["cutover", "cut_1", "`causeway cutovers` shows what there is; type an id whole."],
  ["cutover", "plan_1", "An id that begins with plan_ is that of a plan. `causeway cutovers` shows"],
  ["source", "agt_1", "`causeway sources` shows"],
  ["source", "rp_1", "is that of a recovery point. `causeway sources` shows"],
  ["run", "agt_1", "is that of a source or target host. Check the name."],
  ["volume", "vg0/home of sda", "Check the name."],
])("that there is no %s %s leads to where there are some", (what, id, hint) => {
  expect(new NotFoundError(what, id).hint).toContain(hint);
});
