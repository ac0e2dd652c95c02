import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { DiskFullError, DiskNotFoundError, failureOf } from "./errors.ts";

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

test("a foreign error is our defect, and keeps its message", () => {
  expect(failureOf(new TypeError("x is not a function"))).toMatchObject({
    name: "UnexpectedError",
    message: "TypeError: x is not a function",
  });
  expect(failureOf("text")).toMatchObject({ name: "UnexpectedError", message: "text" });
});
