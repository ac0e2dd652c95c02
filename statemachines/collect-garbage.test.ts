import { expect, test } from "vitest";
import { HandlerError, ROLE, World } from "#local/states/testing/states-world.ts";
import { WorkflowFile, workflowArn } from "./testing/workflow-file.ts";

interface Slice {
  collectionId: string;
  sourceId: string;
  slice: number;
  dryRun: boolean;
  error?: { Error: string; Cause: string };
}

/** Runs the workflow over these sources; `collect` is the function that does a slice. */
async function collected(
  sourceIds: string[],
  collect: (slice: Slice) => unknown,
  input: object = { dryRun: false },
): Promise<{ slices: Slice[]; listed: unknown[]; result: ReturnType<World["result"]> }> {
  const slices: Slice[] = [];
  const world = new World({
    ListRepositories: () => ({ sourceIds }),
    CollectGarbage: (slice: Slice) => {
      slices.push(slice);
      return slice.error ? { done: true } : collect(slice);
    },
  });
  const definition = new WorkflowFile("collect-garbage").runnable();
  world.engine.putMachine({ name: "collect-garbage", definition, roleArn: ROLE });
  const stateMachineArn = workflowArn("collect-garbage");
  const { arn } = world.engine.startExecution({
    stateMachineArn,
    name: "col_1",
    input: JSON.stringify(input),
  });
  // Longer than all retries take.
  for (let minute = 0; minute < 30; minute++) await world.clock.advance(60_000);
  return { slices, listed: world.payloads("ListRepositories"), result: world.result(arn) };
}

const briefly = (slices: Slice[]) =>
  slices.map(({ sourceId, slice, error }) => `${sourceId} ${slice}${error ? ` ${error.Error}` : ""}`);

test("each source is collected slice by slice until it is done", async () => {
  const { slices, listed, result } = await collected(["agt_1", "agt_2"], ({ sourceId, slice }) => ({
    done: sourceId === "agt_2" || slice === 2,
  }));
  expect(result).toMatchObject({ status: "SUCCEEDED" });
  expect(briefly(slices).sort()).toEqual(["agt_1 0", "agt_1 1", "agt_1 2", "agt_2 0"]);
  expect(new Set(slices.map(({ collectionId }) => collectionId))).toEqual(new Set(["col_1"]));
  expect(slices.every(({ dryRun }) => dryRun === false)).toBe(true);
  expect(listed).toEqual([{}]);
});

test("one source and a dry run are passed on", async () => {
  const { slices, listed } = await collected(["agt_1"], () => ({ done: true }), {
    dryRun: true,
    sourceId: "agt_1",
  });
  expect(listed).toEqual([{ sourceId: "agt_1" }]);
  expect(slices).toEqual([{ collectionId: "col_1", sourceId: "agt_1", slice: 0, dryRun: true }]);
});

test("a source that fails is given up with its error, and the others are collected", async () => {
  const { slices, result } = await collected(["agt_1", "agt_2"], ({ sourceId }) => {
    if (sourceId === "agt_1") throw new HandlerError("Error", "S3 is away");
    return { done: true };
  });
  expect(result).toMatchObject({ status: "SUCCEEDED" });
  expect(briefly(slices).sort()).toEqual(["agt_1 0", "agt_1 0 Error", "agt_2 0"]);
});

test("an error that may pass by itself is tried again", async () => {
  let tries = 0;
  const { slices, result } = await collected(["agt_1"], () => {
    if (tries++ < 2) throw new HandlerError("ServiceUnavailableError", "{}");
    return { done: true };
  });
  expect(result).toMatchObject({ status: "SUCCEEDED" });
  expect(briefly(slices)).toEqual(["agt_1 0", "agt_1 0", "agt_1 0"]);
});

test("a mark that does not end is given up", async () => {
  const { slices, result } = await collected(["agt_1"], () => ({ done: false }));
  expect(result).toMatchObject({ status: "SUCCEEDED" });
  expect(slices).toHaveLength(201);
  expect(slices.at(-1)?.error).toEqual({ Error: "States.Timeout", Cause: "the mark takes too long" });
});

test("without sources there is nothing to do", async () => {
  const { slices, result } = await collected([], () => ({ done: true }));
  expect(result).toMatchObject({ status: "SUCCEEDED" });
  expect(slices).toEqual([]);
});
