import { expect, test } from "vitest";
import { withTimeLimit } from "./time-limit.ts";

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

test("work that ends in time keeps its outcome, success or failure", async () => {
  const late = () => "late";
  expect(await withTimeLimit(Promise.resolve("done"), 1000, late)).toBe("done");
  await expect(withTimeLimit(Promise.reject(new Error("broken")), 1000, late)).rejects.toThrow("broken");
});

test("late work is replaced by the given answer or error", async () => {
  const never = new Promise<string>(() => {});
  expect(await withTimeLimit(never, 5, () => "late")).toBe("late");
  const refuse = (): never => {
    throw new Error("it did not answer");
  };
  await expect(withTimeLimit(never, 5, refuse)).rejects.toThrow("it did not answer");
});

test("work that fails after its limit does not end the process", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", note);
  const work = after(20).then(() => {
    throw new Error("too late");
  });
  expect(await withTimeLimit(work, 5, () => "late")).toBe("late");
  await after(40);
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});
