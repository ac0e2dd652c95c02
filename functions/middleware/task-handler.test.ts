import { expect, test } from "vitest";
import * as z from "zod";
import { workflowFailure } from "#shared/domain/workflow-failure.ts";
import { PreflightFailedError } from "#shared/errors.ts";
import { World } from "../testing/world.ts";
import { taskHandler } from "./task-handler.ts";

async function task(run: () => Promise<object>) {
  const world = await World.start();
  const input = z.object({ conversionId: z.string() });
  const handler = taskHandler(
    { name: "tasks/check-preflight", input, build: () => ({}), run },
    world.runtime,
  );
  return (event: unknown) => handler(event, { getRemainingTimeInMillis: () => 10_000 } as never);
}

/** What Step Functions turns a function's error into. */
async function caught(promise: Promise<unknown>) {
  const error = await promise.catch((thrown: unknown) => thrown);
  if (!(error instanceof Error)) throw new Error("it did not fail");
  return { Error: error.name, Cause: JSON.stringify({ errorType: error.name, errorMessage: error.message }) };
}

test("a failure keeps its name, hint and details on its way through Lambda", async () => {
  const rules = [{ id: "a", message: "b", remedy: "Do c." }];
  const handler = await task(() => Promise.reject(new PreflightFailedError(rules)));
  const error = await caught(handler({ conversionId: "cnv_1" }));
  expect(error.Error).toBe("PreflightFailedError");
  expect(workflowFailure(error)).toMatchObject({ hint: "Do c.", details: { rules } });
});

test("an AWS client's error is one that the workflow retries", async () => {
  const throttled = Object.assign(new Error("slow down"), { name: "ThrottlingException", $metadata: {} });
  const handler = await task(() => Promise.reject(throttled));
  const error = await caught(handler({ conversionId: "cnv_1" }));
  expect(error.Error).toBe("ServiceUnavailableError");
  expect(workflowFailure(error).message).toContain("ThrottlingException: slow down");
});

test("invalid input of a task is named", async () => {
  const handler = await task(async () => ({}));
  expect((await caught(handler({}))).Error).toBe("InvalidInputError");
});
